"""The document as a tree with the position of every key and value.

In: the events that ``parse`` reads from a file or from the value of a ``--set``. Out: ``Mapping``, ``Sequence`` and
``Scalar`` nodes, each with its ``Spot``. Layers are merged node by node, so a merged value still has its position::

    tree.at(("resources", "decode_nodes")).spot   ->  recipe.yaml, line 12, column 17, 1 wide

Nodes are immutable; merging creates new ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, KeysView
from functools import cached_property
from typing import NamedTuple

from attrs import define

from srtplan.diagnostics import Path, Problem, Severity
from srtplan.ir.data import Data, Map
from srtplan.ir.data import Scalar as Value

_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
MAX_SHOWN = 300
"""Maximum length of the source line that a problem shows."""


class Origin:
    """The source of values: a file, or one ``--set``. ``name`` is the name that the user gave it."""

    def __init__(self, name: str, text: str, *, is_file: bool = True) -> None:
        self.name = name
        self.text = text
        self.is_file = is_file

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The lines of the text, as libyaml counts them."""
        return tuple(_BREAK.split(self.text))

    def line(self, number: int, column: int = 1) -> str:
        """Return line ``number``, from 1, safe for a terminal; "" if there is none or ``column`` is too large."""
        if not self.is_file or not 0 < number <= len(self.lines) or column > MAX_SHOWN:
            return ""
        return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", self.lines[number - 1][:MAX_SHOWN])


class Spot(NamedTuple):
    """A position in an origin. Lines and columns count from 1; line 0 is the origin as a whole."""

    origin: Origin
    line: int = 0
    column: int = 0
    width: int = 1

    def problem(self, rule: str, message: str, *, hint: str = "", severity: Severity = "error") -> Problem:
        """Return a problem at this position."""
        shown = self.origin.is_file
        return Problem(
            file=self.origin.name,
            line=self.line if shown else 0,
            column=self.column if shown else 0,
            severity=severity,
            rule=rule,
            message=message,
            help=hint,
            source=self.origin.line(self.line, self.column),
            width=min(self.width, MAX_SHOWN),
        )

    def __str__(self) -> str:
        return f"{self.origin.name}:{self.line}" if self.origin.is_file and self.line else self.origin.name


@define(eq=False, repr=False)
class Scalar:
    """A single value. ``text`` is its form as a string, set only for a value that a sweep filled in."""

    spot: Spot
    value: Value
    text: str | None = None


@define(eq=False, repr=False)
class Sequence:
    """A list."""

    spot: Spot
    items: tuple[Node, ...]


class Entry(NamedTuple):
    """One entry of a mapping: the position of the key, and the value."""

    key: Spot
    value: Node


@define(eq=False, repr=False)
class Mapping:
    """A mapping; its keys are strings, in the order of the document."""

    spot: Spot
    entries: dict[str, Entry]

    def __contains__(self, key: object) -> bool:
        return key in self.entries

    def __getitem__(self, key: str) -> Node:
        return self.entries[key].value

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def keys(self) -> KeysView[str]:
        """Return the keys; cattrs calls this."""
        return self.entries.keys()

    def get(self, key: str) -> Node | None:
        """Return the value of a key, or None."""
        entry = self.entries.get(key)
        return entry.value if entry else None

    def with_entry(self, key: str, entry: Entry) -> Mapping:
        """Return a copy with one key added or replaced."""
        return Mapping(self.spot, {**self.entries, key: entry})

    def without(self, *keys: str) -> Mapping:
        """Return a copy without some keys."""
        return Mapping(self.spot, {k: e for k, e in self.entries.items() if k not in keys})


Node = Scalar | Sequence | Mapping


def is_null(node: Node | None) -> bool:
    """Tell whether a key is missing or has no value."""
    return node is None or (isinstance(node, Scalar) and node.value is None)


def child(node: Node, step: str | int) -> Node | None:
    """Return the value of a key or index, or None."""
    if isinstance(node, Mapping):
        return node.get(str(step))
    if isinstance(node, Sequence) and isinstance(step, int) and 0 <= step < len(node.items):
        return node.items[step]
    return None


def at(root: Node, path: Path) -> Node | None:
    """Return the value at a path, or None."""
    node: Node | None = root
    for step in path:
        node = child(node, step) if node is not None else None
    return node


def spot(root: Node, path: Path, *, on_key: bool = False) -> Spot:
    """Return the position of the value at a path, or of its key.

    For a missing value, return the nearest key above it, or the first key of all.
    """
    node, here, key = root, root.spot, root.spot
    for step in path:
        below = child(node, step)
        if below is None:
            return key
        key = node.entries[str(step)].key if isinstance(node, Mapping) else below.spot
        node, here = below, below.spot
    return key if on_key or not isinstance(node, Scalar) else here


def data(node: Node) -> Data:
    """Return the plain, frozen value of a node."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return tuple([data(i) for i in node.items])
    return Map(tuple([(k, data(e.value)) for k, e in node.entries.items()]))


def remove(node: Node, path: Path) -> Node:
    """Return a copy without the key at the end of a path."""
    step, rest = path[0], path[1:]
    below = child(node, step)
    if isinstance(node, Mapping):
        key = str(step)
        if not rest or below is None:
            return node.without(key)
        return node.with_entry(key, Entry(node.entries[key].key, remove(below, rest)))
    if isinstance(node, Sequence) and isinstance(step, int) and below is not None:
        items = (remove(item, rest) if n == step else item for n, item in enumerate(node.items))
        return Sequence(node.spot, tuple(items))
    return node
