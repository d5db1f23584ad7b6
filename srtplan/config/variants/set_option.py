"""``--set key.path=value``: changes to a recipe, above all other layers.

In: the arguments of ``--set``. Out: changes, and trees with them applied. The value is YAML (``8`` is a number, ``"8"`` is
a string). A key with a dot is quoted, and an item of a list is selected by its index::

    benchmark.isl=4096      benchmark.concurrencies[0]=8      environment."a.b"='"1"'
"""

from __future__ import annotations

import re
from collections.abc import Sequence as Seq

from attrs import frozen

from srtplan.config.yaml.parse import parse
from srtplan.config.yaml.tree import Entry, Mapping, Node, Origin, Scalar, Sequence, Spot, is_null
from srtplan.diagnostics import InputError, Path, Problem, Report, count_of

_STEP = re.compile(
    r"""\.?(?:"(?P<d>[^"]*)"|'(?P<s>[^']*)'|(?P<plain>[^.\[\]"'=]+))|\[(?P<index>[0-9]{1,6})\]"""
)


@frozen(eq=False, repr=False)
class Change:
    """A value at a path; ``spot`` names the ``--set`` argument."""

    path: Path
    node: Node
    spot: Spot


class _Refused(Exception):  # noqa: N818 -- becomes a Problem one level up
    pass


def parse_all(arguments: Seq[str]) -> tuple[Change, ...]:
    """Return all changes in order. Raises InputError with all problems."""
    changes: list[Change] = []
    problems: list[Problem] = []
    for argument in arguments:
        try:
            changes.append(_parse(argument))
        except InputError as error:  # noqa: PERF203 -- all problems are collected
            problems.extend(error.report)
    if problems:
        raise InputError(Report(tuple(problems)))
    return tuple(changes)


def apply(tree: Mapping, changes: Seq[Change]) -> tuple[Mapping, tuple[Problem, ...]]:
    """Return the tree with all changes that fit, and problems for all other changes."""
    problems = []
    for change in changes:
        try:
            changed = _put(tree, change.path, change, ())
            assert isinstance(changed, Mapping)  # noqa: S101 -- a path starts with a key
            tree = changed
        except _Refused as error:  # noqa: PERF203 -- all problems are collected
            problems.append(change.spot.problem("SP120", str(error)))
    return tree, tuple(problems)


def _parse(argument: str) -> Change:
    origin = Origin(f"--set {argument}", argument, is_file=False)
    path: list[str | int] = []
    end = 0
    while match := _STEP.match(argument, end):
        if match.end() == end or (not path and argument[0] in ".["):
            break
        names = [match[g] for g in ("d", "s", "plain") if match[g] is not None]
        path.append(names[0] if names else int(match["index"]))
        end = match.end()
    if not path or argument[end : end + 1] != "=" or isinstance(path[0], int):
        hint = 'quote a key that contains a dot, as in environment."a.b"=\'"1"\''
        problem = Spot(origin).problem("SP120", "expected key.path=value", hint=hint)
        raise InputError(Report((problem,)))
    node = parse(Origin(origin.name, argument[end + 1 :], is_file=False))
    return Change(tuple(path), Scalar(Spot(origin), None) if node is None else node, Spot(origin))


def _put(node: Node | None, path: Path, change: Change, parents: Path) -> Node:
    if not path:
        return change.node
    step, rest = path[0], path[1:]
    here = ".".join(map(str, parents))
    if isinstance(step, int):
        if not isinstance(node, Sequence):
            raise _Refused(f"'{here}' is not a list")
        if step >= len(node.items):
            raise _Refused(f"'{here}' has {count_of(len(node.items), 'item')}; index {step} is out of range")
        items = list(node.items)
        items[step] = _put(items[step], rest, change, (*parents, step))
        return Sequence(node.spot, tuple(items))
    if is_null(node):
        node = Mapping(change.spot, {})
    if not isinstance(node, Mapping):
        raise _Refused(f"'{here}' is not a mapping; it cannot have a key '{step}'")
    old = node.entries.get(step)
    value = _put(old.value if old else None, rest, change, (*parents, step))
    return node.with_entry(step, Entry(old.key if old and rest else change.spot, value))
