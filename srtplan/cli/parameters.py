"""The values in which the jobs of one file differ, each under its shortest unambiguous name.

``[{"a": {"tp": 4}}, {"a": {"tp": 8}}]`` gives ``["tp=4", "tp=8"]``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from srtplan.config.yaml.tree import Mapping, Node, data
from srtplan.ir.data import thaw

Leaves = dict[tuple[str, ...], str]
MISSING = "-"
NAME = ("name",)


def parameters(trees: Sequence[Mapping]) -> list[str]:
    """Return one text per job; empty if the jobs do not differ."""
    leaves: list[Leaves] = [dict(_leaves(tree, ())) for tree in trees]
    paths = list(dict.fromkeys(p for job in leaves for p in job))
    differing = [p for p in paths if p != NAME and len({job.get(p, MISSING) for job in leaves}) > 1]
    names = {p: _short(p, differing) for p in differing}
    return [" ".join(f"{names[p]}={job.get(p, MISSING)}" for p in differing) for job in leaves]


def _leaves(node: Node, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(node, Mapping) and node.entries:
        for key in node:
            yield from _leaves(node[key], (*path, key))
    else:
        value = thaw(data(node))
        text = (
            value
            if isinstance(value, str) and value.isprintable() and " " not in value
            else json.dumps(value)
        )
        yield path, text


def _short(path: tuple[str, ...], others: Sequence[tuple[str, ...]]) -> str:
    """Return the shortest end of a path that no other path has."""
    for length in range(1, len(path)):
        if sum(other[-length:] == path[-length:] for other in others) == 1:
            return ".".join(path[-length:])
    return ".".join(path)
