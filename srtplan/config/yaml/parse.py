"""From text to a tree: strict YAML 1.2 with libyaml's parser, with the position of every key and value.

In: an ``Origin``. Out: its root node, or None for an empty text. Errors, each with its position: duplicate keys, tags,
several documents, recursive aliases, aliases that expand to a huge document, nesting deeper than 60 levels. Merge keys
(``<<: *defaults``) are YAML 1.1, but recipes written for PyYAML use them, so they are supported. Keys of the mapping
itself take precedence::

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
"""The rule of problems that leave the rest of the document readable."""


class _Mark(Protocol):
    line: int
    column: int


class _Parser(Protocol):
    def get_event(self) -> yaml.Event | None: ...


def parse(origin: Origin) -> Node | None:
    """Return the tree of a text. Raises InputError with all problems that one pass can find."""
    root, problems = compose(origin)
    if problems:
        raise InputError(Report(problems))
    return root


def compose(origin: Origin) -> tuple[Node | None, tuple[Problem, ...]]:
    """Return the tree of a text, and its duplicate keys. The first value of a key is kept, so the rest can be checked.

    Raises InputError if there is no tree.
    """
    composer = _Composer(origin)
    return composer.run(), tuple(composer.problems)


@define(eq=False, repr=False)
class _Frame:
    """An open collection. ``key`` is the key whose value comes next."""

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
        except yaml.YAMLError as error:  # pragma: no cover -- source.py rejects such characters first
            raise fatal(*self.problems, Spot(self.origin).problem("SP103", str(error))) from None
        if any(p.rule != READABLE for p in self.problems):
            raise fatal(*self.problems)
        return self.root

    def document(self, event: yaml.DocumentStartEvent) -> None:
        self.documents += 1
        if self.documents > 1:
            hint = "write one recipe per file, and variants as override_NAME"
            raise fatal(self.spot(event).problem("SP105", "a second document starts here", hint=hint))
        if event.version and tuple(event.version) != (1, 2):
            version = ".".join(map(str, event.version))
            message = f"recipes are YAML 1.2, not YAML {version}"
            self.report(event, "SP105", message, hint="remove the line with %YAML")

    def scalar(self, event: yaml.ScalarEvent) -> None:
        if event.tag is not None:
            self.tag(event)
        spot, text = self.spot(event), event.value
        if "\0" in text:
            self.report(event, "SP102", "NUL characters are not allowed", hint="remove the character")
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
        """Start an entry with a key. Each repetition of a key is reported."""
        frame.merge_next = text == MERGE and bool(event.implicit[0])
        frame.key = (text, spot)
        if event.anchor:
            hint = "move the anchor to the value"
            self.report(event, "SP105", "an anchor on a key is not supported", hint=hint)
        if not text:
            self.report(event, "SP105", "empty key", hint="write a name before ':'")
        elif text in frame.entries:
            first = frame.entries[text].key
            self.found(
                spot.problem(
                    "SP104",
                    f"duplicate key '{text}', first defined in line {first.line}, column {first.column}",
                    hint="remove one of them",
                )
            )

    def alias(self, event: yaml.AliasEvent) -> None:
        anchor = self.anchors.get(str(event.anchor))
        if anchor is None:
            inside = any(f.anchor == event.anchor for f in self.frames)
            message = f"alias '*{event.anchor}' " + ("contains itself" if inside else "is not defined")
            hint = "write the value without the alias" if inside else f"define it with &{event.anchor} first"
            raise fatal(self.spot(event).problem("SP106" if inside else "SP103", message, hint=hint))
        self.nodes += anchor.nodes
        self.limits(event, anchor.height)
        frame = self.frames[-1] if self.frames else None
        if frame and frame.is_mapping and frame.key is None:
            hint = "write the key itself"
            self.report(event, "SP105", "an alias as a key is not supported", hint=hint)
            frame.key = (f"*{event.anchor}", self.spot(event))
            return
        self.add(anchor.node, anchor.height)

    def open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        self.tag(event)
        frame = self.frames[-1] if self.frames else None
        if frame and frame.is_mapping and frame.key is None:
            hint = "if it is meant as text, quote it, such as '{x}'"
            raise fatal(self.spot(event).problem("SP105", "a list or mapping cannot be a key", hint=hint))
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
        """Add a complete node to the open collection, or make it the root."""
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
                    message = "'<<' must be a mapping or a list of mappings"
                    hint = 'to use it as an ordinary key, quote it: "<<"'
                    self.found(part.spot.problem("SP105", message, hint=hint))

    def limits(self, event: yaml.Event, height: int) -> None:
        if len(self.frames) + height > MAX_DEPTH:
            raise fatal(self.spot(event).problem("SP106", TOO_DEEP))
        if self.nodes > MAX_NODES:
            message = f"more than {MAX_NODES} values after expanding aliases"
            raise fatal(self.spot(event).problem("SP106", message))

    def tag(self, event: yaml.ScalarEvent | yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        if event.tag is not None:
            shown = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.report(
                event,
                "SP105",
                f"tag '{shown}' is not supported",
                hint='remove the tag; quote a number to make it a string: "8"',
            )

    def report(self, event: yaml.Event, rule: str, message: str, *, hint: str = "") -> None:
        self.found(self.spot(event).problem(rule, message, hint=hint))

    def found(self, problem: Problem) -> None:
        """Add a problem; stop reading when there are too many to be useful."""
        if len(self.problems) >= MAX_PROBLEMS:
            raise fatal(problem)
        self.problems.append(problem)

    def spot(self, event: Any) -> Spot:  # noqa: ANN401 -- an event; its marks are missing in typeshed
        """Return the position of a scalar, with its width if it is on one line."""
        start, end = event.start_mark, event.end_mark
        column = start.column
        width = end.column - column if end.line == start.line else 1
        return Spot(self.origin, start.line + 1, column + 1, width or 1)

    def start(self, event: yaml.Event) -> Spot:
        mark = cast("_Mark", event.start_mark)
        return Spot(self.origin, mark.line + 1, mark.column + 1)


def _parser(text: str) -> _Parser:
    """Return the parser of libyaml, or PyYAML's own if it was built without libyaml: slower, with the same events."""
    return cast("_Parser", yaml.SafeLoader(text) if CParser is None else CParser(text))


_HELP = {
    "cannot start any token": "indent with spaces; quote text that starts with @, %, ` or a tab",
    "mapping values are not allowed": "quote text that contains ': ', or check the indentation",
    "expected <block end>": "check the indentation: keys of one mapping start in the same column",
    "did not find expected key": "check the indentation: keys of one mapping start in the same column",
    "expected ':'": "write ':' and a space after the key",
    "expected ',' or": "close the list with ] or the mapping with }, or add the missing comma",
    "found unexpected end of stream": "close the quote",
    "expected alphabetic": "quote text that starts with * or &",
}


def _syntax(origin: Origin, error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    if "quoted scalar" in (error.context or "") and "end of stream" in (error.problem or ""):
        mark = error.context_mark
    message = error.problem or str(error)
    if "maximum nesting depth" in message:  # newer versions of libyaml look ahead and have their own limit
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
