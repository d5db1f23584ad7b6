"""``--set key.path=value``: the topmost layer, one value at a time.

In: the words after ``--set``. Out: changes, and trees with them applied. The value is YAML (``8`` is a number, ``"8"``
is text); a key with a dot is quoted, an item of a list has its index::

    benchmark.isl=4096      benchmark.concurrencies[0]=8      environment."a.b"='"1"'
"""

from __future__ import annotations

import re
from collections.abc import Sequence as Seq

from attrs import frozen

from srtplan.config.yaml.parse import parse
from srtplan.config.yaml.tree import Entry, Mapping, Node, Origin, Scalar, Sequence, Spot, is_null
from srtplan.diagnostics import InputError, Path, Problem, Report

_STEP = re.compile(
    r"""\.?(?:"(?P<d>[^"]*)"|'(?P<s>[^']*)'|(?P<plain>[^.\[\]"'=]+))|\[(?P<index>[0-9]{1,6})\]"""
)


@frozen(eq=False, repr=False)
class Change:
    """A value at a path; ``spot`` names the ``--set`` it came from."""

    path: Path
    node: Node
    spot: Spot


class _Refused(Exception):  # noqa: N818 -- becomes a Problem one level up
    pass


def parse_all(arguments: Seq[str]) -> tuple[Change, ...]:
    """All changes, in order; raises InputError with the problems of all."""
    changes: list[Change] = []
    problems: list[Problem] = []
    for argument in arguments:
        try:
            changes.append(_parse(argument))
        except InputError as error:  # noqa: PERF203 -- the problems of all are wanted
            problems.extend(error.report)
    if problems:
        raise InputError(Report(tuple(problems)))
    return tuple(changes)


def apply(tree: Mapping, changes: Seq[Change]) -> tuple[Mapping, tuple[Problem, ...]]:
    """The tree with all changes that have a place in it, and problems for the others."""
    problems = []
    for change in changes:
        try:
            changed = _put(tree, change.path, change, ())
            assert isinstance(changed, Mapping)  # noqa: S101 -- a path starts with a key
            tree = changed
        except _Refused as error:  # noqa: PERF203 -- the problems of all are wanted
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


def _put(node: Node | None, path: Path, change: Change, done: Path) -> Node:
    if not path:
        return change.node
    step, rest = path[0], path[1:]
    here = ".".join(map(str, done))
    if isinstance(step, int):
        if not isinstance(node, Sequence):
            raise _Refused(f"'{here}' is not a list")
        if step >= len(node.items):
            raise _Refused(f"'{here}' has {len(node.items)} items, so [{step}] is past its end")
        items = list(node.items)
        items[step] = _put(items[step], rest, change, (*done, step))
        return Sequence(node.spot, tuple(items))
    if is_null(node):
        node = Mapping(change.spot, {})
    if not isinstance(node, Mapping):
        raise _Refused(f"'{here}' is not a mapping, so it has no '{step}'")
    old = node.entries.get(step)
    value = _put(old.value if old else None, rest, change, (*done, step))
    return node.with_entry(step, Entry(old.key if old and rest else change.spot, value))
