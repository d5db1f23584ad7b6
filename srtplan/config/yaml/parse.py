"""Text to tree: strict YAML 1.2 through libyaml's parser, with the place of every key and value.

In: an ``Origin``. Out: its root node, or None for an empty text. Refused, each with its place: duplicate keys, tags,
several documents, recursive aliases, aliases that blow the document up, nesting deeper than 60 levels. Merge keys
(``<<: *defaults``) are YAML 1.1 but stand in recipes written for PyYAML, so they are honoured: keys of the mapping
itself win::

    a: &x {k: 1}
    b: {<<: *x, l: 2}     ->  {"a": {"k": 1}, "b": {"l": 2, "k": 1}}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

import yaml
from attrs import Factory, define

from srtplan.config.yaml.scalars import resolve
from srtplan.config.yaml.source import fatal
from srtplan.config.yaml.tree import Entry, Mapping, Node, Origin, Scalar, Sequence, Spot
from srtplan.diagnostics import InputError, Problem, Report

try:
    from yaml._yaml import CParser
except ImportError:  # pragma: no cover -- PyYAML without libyaml
    CParser = None  # type: ignore[assignment,misc]

MAX_DEPTH = 60
TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
MAX_NODES = 100_000
MAX_PROBLEMS = 100
MERGE = "<<"
READABLE = "SP104"
"""The rule of problems that leave no doubt about the rest of the document."""


class _Mark(Protocol):
    line: int
    column: int


class _Parser(Protocol):
    def get_event(self) -> yaml.Event | None: ...


def parse(origin: Origin) -> Node | None:
    """The tree of a text; raises InputError with all problems that can be found in one pass."""
    root, problems = compose(origin)
    if problems:
        raise InputError(Report(problems))
    return root


def compose(origin: Origin) -> tuple[Node | None, tuple[Problem, ...]]:
    """The tree of a text, and keys that stand twice in it: the first value is kept, so that the rest can be checked.

    Raises InputError where there is no tree.
    """
    composer = _Composer(origin)
    return composer.run(), tuple(composer.problems)


@define(eq=False, repr=False)
class _Frame:
    """An open collection. ``key`` is a key that waits for its value."""

    spot: Spot
    is_mapping: bool
    anchor: str | None
    nodes_before: int
    items: list[Node] = Factory(list)
    entries: dict[str, Entry] = Factory(dict)
    merges: list[Node] = Factory(list)
    key: tuple[str, Spot] | None = None
    merge_next: bool = False
    height: int = 1


@define(eq=False, repr=False)
class _Anchor:
    node: Node
    nodes: int
    height: int


class _Composer:
    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.problems: list[Problem] = []
        self.frames: list[_Frame] = []
        self.anchors: dict[str, _Anchor] = {}
        self.nodes = 0
        self.documents = 0
        self.root: Node | None = None

    def run(self) -> Node | None:
        handlers: dict[type[yaml.Event], Callable[[Any], None]] = {
            yaml.ScalarEvent: self.scalar,
            yaml.AliasEvent: self.alias,
            yaml.MappingStartEvent: self.open,
            yaml.SequenceStartEvent: self.open,
            yaml.MappingEndEvent: self.close,
            yaml.SequenceEndEvent: self.close,
            yaml.DocumentStartEvent: self.document,
        }
        try:
            parser = _parser(self.origin.text)
            while (event := parser.get_event()) is not None:
                handler = handlers.get(type(event))
                if handler:
                    handler(event)
        except InputError as error:
            raise fatal(*self.problems, *error.report) from None
        except yaml.MarkedYAMLError as error:
            raise fatal(*self.problems, _syntax(self.origin, error)) from None
        except yaml.YAMLError as error:  # pragma: no cover -- source.py has refused such characters
            raise fatal(*self.problems, Spot(self.origin).problem("SP103", str(error))) from None
        if any(p.rule != READABLE for p in self.problems):
            raise fatal(*self.problems)
        return self.root

    def document(self, event: yaml.DocumentStartEvent) -> None:
        self.documents += 1
        if self.documents > 1:
            hint = "keep one recipe per file; variants are written as override_<name>"
            raise fatal(self.spot(event).problem("SP105", "a second document starts here", hint=hint))
        if event.version and tuple(event.version) != (1, 2):
            version = ".".join(map(str, event.version))
            self.report(event, "SP105", f"YAML {version} is asked for, but recipes are read as YAML 1.2")

    def scalar(self, event: yaml.ScalarEvent) -> None:
        if event.tag is not None:
            self.tag(event)
        spot, text = self.spot(event), event.value
        if "\0" in text:
            self.report(event, "SP102", "a NUL character: no argument, variable or path can hold one")
        frame = self.frames[-1] if self.frames else None
        if frame and frame.is_mapping and frame.key is None:
            self.name(event, spot, text, frame)
            return
        node = Scalar(spot, resolve(text) if event.implicit[0] else text)
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self.limits(event, 0)
        if event.anchor:
            self.anchors[event.anchor] = _Anchor(node, 1, 0)
        self.add(node, 0)

    def name(self, event: yaml.ScalarEvent, spot: Spot, text: str, frame: _Frame) -> None:
        """A key. The same key twice is reported once per repetition."""
        frame.merge_next = text == MERGE and bool(event.implicit[0])
        frame.key = (text, spot)
        if event.anchor:
            self.report(event, "SP105", "an anchor on a key is not supported", hint="put it on the value")
        if not text:
            self.report(event, "SP105", "empty key")
        elif text in frame.entries:
            first = frame.entries[text].key
            self.found(
                spot.problem(
                    "SP104",
                    f"duplicate key '{text}', first given in line {first.line}, column {first.column}",
                    hint="remove one of them; YAML readers silently take the last",
                )
            )

    def alias(self, event: yaml.AliasEvent) -> None:
        anchor = self.anchors.get(str(event.anchor))
        if anchor is None:
            inside = any(f.anchor == event.anchor for f in self.frames)
            message = f"alias '*{event.anchor}' " + ("contains itself" if inside else "is not defined")
            raise fatal(self.spot(event).problem("SP106" if inside else "SP103", message))
        self.nodes += anchor.nodes
        self.limits(event, anchor.height)
        frame = self.frames[-1] if self.frames else None
        if frame and frame.is_mapping and frame.key is None:
            self.report(event, "SP105", "an alias as a key is not supported")
            frame.key = (f"*{event.anchor}", self.spot(event))
            return
        self.add(anchor.node, anchor.height)

    def open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        self.tag(event)
        frame = self.frames[-1] if self.frames else None
        if frame and frame.is_mapping and frame.key is None:
            hint = "quote it if it is meant as text, such as '{x}'"
            raise fatal(self.spot(event).problem("SP105", "a key must be a single word", hint=hint))
        self.nodes += 1
        is_mapping = type(event) is yaml.MappingStartEvent
        self.frames.append(_Frame(self.start(event), is_mapping, event.anchor, self.nodes))
        self.limits(event, 0)

    def close(self, _event: yaml.Event) -> None:
        frame = self.frames.pop()
        node: Node
        if frame.is_mapping:
            node = Mapping(frame.spot, frame.entries)
            self.merge(node, frame.merges)
        else:
            node = Sequence(frame.spot, tuple(frame.items))
        if frame.anchor:
            self.anchors[frame.anchor] = _Anchor(node, self.nodes - frame.nodes_before + 1, frame.height)
        self.add(node, frame.height)

    def add(self, node: Node, height: int) -> None:
        """The finished node goes to the collection that is open, or is the root."""
        if not self.frames:
            self.root = node
            return
        frame = self.frames[-1]
        if height >= frame.height:
            frame.height = height + 1
        if not frame.is_mapping:
            frame.items.append(node)
        elif frame.merge_next:
            frame.merges.append(node)
        elif frame.key:
            frame.entries.setdefault(frame.key[0], Entry(frame.key[1], node))
        frame.key, frame.merge_next = None, False

    def merge(self, into: Mapping, merges: list[Node]) -> None:
        for value in merges:
            for part in value.items if isinstance(value, Sequence) else (value,):
                if isinstance(part, Mapping):
                    for key, entry in part.entries.items():
                        into.entries.setdefault(key, entry)
                else:
                    message = "'<<' takes a mapping, or a list of mappings"
                    self.found(part.spot.problem("SP105", message, hint='quote it ("<<") as a key'))

    def limits(self, event: yaml.Event, height: int) -> None:
        if len(self.frames) + height > MAX_DEPTH:
            raise fatal(self.spot(event).problem("SP106", TOO_DEEP))
        if self.nodes > MAX_NODES:
            raise fatal(
                self.spot(event).problem("SP106", f"more than {MAX_NODES} values, aliases written out")
            )

    def tag(self, event: yaml.ScalarEvent | yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        if event.tag is not None:
            shown = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.report(event, "SP105", f"tag '{shown}' is not supported", hint='quote numbers as text: "8"')

    def report(self, event: yaml.Event, rule: str, message: str, *, hint: str = "") -> None:
        self.found(self.spot(event).problem(rule, message, hint=hint))

    def found(self, problem: Problem) -> None:
        """Another problem; reading ends when there are too many to be of use."""
        if len(self.problems) >= MAX_PROBLEMS:
            raise fatal(problem)
        self.problems.append(problem)

    def spot(self, event: Any) -> Spot:  # noqa: ANN401 -- an event; typeshed does not say that it has marks
        """Where a scalar stands, as wide as it is when it stands on one line."""
        start, end = event.start_mark, event.end_mark
        column = start.column
        width = end.column - column if end.line == start.line else 1
        return Spot(self.origin, start.line + 1, column + 1, width or 1)

    def start(self, event: yaml.Event) -> Spot:
        mark = cast("_Mark", event.start_mark)
        return Spot(self.origin, mark.line + 1, mark.column + 1)


def _parser(text: str) -> _Parser:
    """The parser of libyaml, or PyYAML's own where PyYAML was built without libyaml: slower, same events."""
    return cast("_Parser", yaml.SafeLoader(text) if CParser is None else CParser(text))


_HELP = {
    "cannot start any token": "indent with spaces; quote text that starts with @, %, ` or a tab",
    "mapping values are not allowed": "quote text that contains ': ', or check the indentation",
    "expected <block end>": "check the indentation: keys of one mapping start in the same column",
    "expected ':'": "a key needs a ':' and a space after it",
    "expected ',' or": "a list in [ ] or mapping in { } is not closed, or a comma is missing",
    "found unexpected end of stream": "a quote is not closed",
    "expected alphabetic": "quote text that starts with * or &",
}


def _syntax(origin: Origin, error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    if "quoted scalar" in (error.context or "") and "end of stream" in (error.problem or ""):
        mark = error.context_mark
    message = error.problem or str(error)
    if (
        "maximum nesting depth" in message
    ):  # newer versions of libyaml look ahead, and have a limit of their own
        return (Spot(origin, mark.line + 1, mark.column + 1) if mark else Spot(origin)).problem(
            "SP106", TOO_DEEP
        )
    if error.context and error.context_mark:
        message += f" {error.context} that starts in line {error.context_mark.line + 1}"
    hint = next((h for part, h in _HELP.items() if part in message), "")
    spot = Spot(origin, mark.line + 1, mark.column + 1) if mark else Spot(origin)
    last = len(origin.lines)
    if spot.line > last:
        spot = Spot(origin, last, len(origin.lines[-1]) + 1)
    return spot.problem("SP103", f"YAML: {message}", hint=hint)
