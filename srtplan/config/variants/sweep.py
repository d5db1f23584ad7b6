"""``sweep``: one job per combination of parameter values; the first parameter changes slowest.

In: a tree with a top-level ``sweep``. Out: for each combination its number, a tree without ``sweep``, and problems. A
placeholder that is the whole string becomes the value with its type; inside a longer string it becomes text::

    name: s                                    name: s_tp8
    sweep: {tp: [8, 16]}                  ->   args: {tp-size: 8, note: tp=8}     and the same with 16
    args: {tp-size: "{tp}", note: "tp={tp}"}
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product

from srtplan.config.yaml.scalars import show
from srtplan.config.yaml.tree import Entry, Mapping, Node, Scalar, Sequence
from srtplan.diagnostics import Problem

MAX_JOBS = 1000
_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
_UNFIT = re.compile(r"[^A-Za-z0-9._+,=@-]+")

Expanded = tuple[str, Mapping, tuple[Problem, ...]]


def expand(tree: Mapping) -> Iterator[Expanded]:
    """Yield all combinations; for an invalid sweep, the unchanged tree once, with the problems."""
    section, plain = tree["sweep"], tree.without("sweep")
    problems = tuple(_invalid(section))
    if problems or not isinstance(section, Mapping):
        yield "0", plain, problems
        return
    used: set[str] = set()
    choices = [
        [(key, item) for item in entry.value.items]
        for key, entry in section.entries.items()
        if isinstance(entry.value, Sequence)
    ]
    trees = [_fill_all(plain, dict(values), used) for values in product(*choices)]
    warnings = (*_unused(section, used), *_repeated(section))
    for n, filled in enumerate(trees):
        yield str(n), filled, warnings


def _invalid(section: Node) -> Iterator[Problem]:
    if not isinstance(section, Mapping) or not section.entries:
        message = "'sweep' must be a mapping of parameters to lists of values"
        yield section.spot.problem("SP124", message, hint="for example `sweep: {tp: [4, 8]}`")
        return
    total = 1
    for key, entry in section.entries.items():
        if not isinstance(entry.value, Sequence) or not entry.value.items:
            message = f"sweep parameter '{key}' must be a list of values"
            hint = f"write a list of one or more values, such as `{key}: [1, 2]`"
            yield entry.value.spot.problem("SP124", message, hint=hint)
        else:
            total *= len(entry.value.items)
    if total > MAX_JOBS:
        message = f"the sweep has {total} combinations; the limit is {MAX_JOBS}"
        yield section.spot.problem("SP124", message, hint="use fewer values, or several recipes")


def _unused(section: Mapping, used: set[str]) -> Iterator[Problem]:
    for key, entry in section.entries.items():
        if key not in used:
            message = f"sweep parameter '{key}' is unused: no value contains {{{key}}}"
            hint = f'write "{{{key}}}" as the value of a key, or remove the parameter'
            yield entry.key.problem("SP126", message, hint=hint, severity="warning")


def _repeated(section: Mapping) -> Iterator[Problem]:
    for key, entry in section.entries.items():
        seen: set[str] = set()
        for item in entry.value.items if isinstance(entry.value, Sequence) else ():
            text = _text(item)
            if text in seen:
                message = f"sweep parameter '{key}' repeats the value {text}: two jobs are identical"
                yield item.spot.problem("SP128", message, hint="remove one of them", severity="warning")
            seen.add(text)


def _fill_all(tree: Mapping, values: dict[str, Node], used: set[str]) -> Mapping:
    """Return the filled tree, with the combination appended to its name."""
    filled = _fill(tree, values, used)
    assert isinstance(filled, Mapping)  # noqa: S101 -- a mapping stays one
    name = tree.get("name")
    if not isinstance(name, Scalar) or not isinstance(name.value, str):
        return filled
    suffix = "_".join(f"{key}{_UNFIT.sub('-', _name_part(node))}" for key, node in values.items())
    entry = Entry(tree.entries["name"].key, Scalar(name.spot, f"{name.value}_{suffix}"))
    return filled.with_entry("name", entry)


def _fill(node: Node, values: dict[str, Node], used: set[str]) -> Node:
    if isinstance(node, Mapping):
        entries = {k: Entry(e.key, _fill(e.value, values, used)) for k, e in node.entries.items()}
        return Mapping(node.spot, entries)
    if isinstance(node, Sequence):
        return Sequence(node.spot, tuple([_fill(i, values, used) for i in node.items]))
    return _fill_text(node, values, used) if isinstance(node.value, str) and "{" in node.value else node


def _fill_text(node: Scalar, values: dict[str, Node], used: set[str]) -> Node:
    text = str(node.value)
    names = [n for n in _PLACEHOLDER.findall(text) if n in values]
    used.update(names)
    if not names:
        return node
    if text == f"{{{names[0]}}}":
        value = values[names[0]]
        if isinstance(value, Scalar) and not isinstance(value.value, str):
            return Scalar(value.spot, value.value, text=show(value.value))
        return value
    return Scalar(node.spot, _PLACEHOLDER.sub(lambda m: _replacement(m, values), text))


def _replacement(match: re.Match[str], values: dict[str, Node]) -> str:
    return _text(values[match[1]]) if match[1] in values else match[0]


def _text(node: Node) -> str:
    """Return a value as text; the items of a list are joined with commas."""
    if isinstance(node, Scalar):
        return show(node.value)
    if isinstance(node, Sequence):
        return ",".join(_text(i) for i in node.items)
    return ",".join(f"{k}={_text(e.value)}" for k, e in node.entries.items())


def _name_part(node: Node) -> str:
    """Return a value for a job name, as srtctl writes it: true is ``True``."""
    return str(node.value) if isinstance(node, Scalar) else _text(node)
