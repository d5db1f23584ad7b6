"""From the tree to an attrs class, with every problem as a ``Finding`` at its path.

In: a mapping of the tree and a class. Out: an instance, or None and findings::

    structure(<{"port": "x", "hots": 1}>, Server)  ->  None, [SP112 at ("port",), SP110 at ("hots",)]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import attrs
from cattrs.errors import (
    AttributeValidationNote,
    BaseValidationError,
    ForbiddenExtraKeysError,
    IterableValidationNote,
)

from srtplan.config.typed.hooks import Mismatch, converter, describe, describe_node, key_of
from srtplan.config.yaml.tree import Mapping, Node, Scalar, remove
from srtplan.diagnostics import Finding, Path

AT = "srtslurm.yaml"
"""First step of a path into the profile instead of the recipe."""

T = TypeVar("T")


def structure(node: Node, kind: type[T], path: Path, findings: list[Finding]) -> T | None:
    """Return an instance of ``kind``, or None if a value is invalid; add all problems to ``findings``.

    Unknown keys are reported, but do not prevent the instance.
    """
    try:
        return converter(explains=False).structure(node, kind)
    except (BaseValidationError, ForbiddenExtraKeysError, KeyError, Mismatch):
        pass
    try:
        return converter(explains=True).structure(node, kind)
    except (BaseValidationError, Mismatch) as error:
        found = tuple(_findings(error, kind, path))
    findings.extend(found)
    if not all(f.rule == "SP110" for f in found):
        return None
    for finding in found:
        node = remove(node, finding.path[len(path) :])
    return converter(explains=False).structure(node, kind)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint with the closest known word, or with all known words if they are few, or ""."""
    from difflib import get_close_matches  # noqa: PLC0415 -- only an invalid recipe needs it

    known = sorted(known)
    lowered = {k.lower().replace("-", "_"): k for k in known}
    close = get_close_matches(word.lower().replace("-", "_"), lowered, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{lowered[close[0]]}'?"
    return f"known: {', '.join(known)}" if known and len(known) <= MAX_LISTED else ""


MAX_LISTED = 24


def unknown_key(path: Path, known: Iterable[str], *, where: str = "") -> Finding:
    """Return the finding for an unknown key."""
    name = str(path[-1])
    here = where or (".".join(map(str, path[:-1])) or "the recipe")
    return Finding(
        rule="SP110",
        path=path,
        on_key=True,
        message=f"unknown key '{name}' in {here}",
        help=did_you_mean(name, known) or "remove it",
    )


def _findings(error: BaseException, kind: Any, path: Path) -> Iterator[Finding]:  # noqa: ANN401
    if isinstance(error, BaseValidationError):
        for inner in error.exceptions:
            step, wanted = _step(inner, getattr(error, "cl", kind))
            yield from _findings(inner, wanted, path if step is None else (*path, step))
    elif isinstance(error, ForbiddenExtraKeysError):
        known = [key_of(f) for f in attrs.fields(error.cl)]
        yield from (unknown_key((*path, k), known) for k in sorted(error.extra_fields))
    elif isinstance(error, KeyError):
        section = ".".join(map(str, path[:-1]))
        message = f"missing key '{path[-1]}' in {section or 'the recipe'} ({describe(kind)})"
        hint = f"add `{path[-1]}:`" + (f" under `{section}:`" if section else " at the top level")
        yield Finding(rule="SP111", path=path, message=message, help=hint)
    elif isinstance(error, Mismatch):
        yield _mismatch(error, path)
    else:
        raise error


def _step(error: BaseException, kind: Any) -> tuple[str | int | None, Any]:  # noqa: ANN401
    """Return the key or index of a failure, from the note of cattrs, and the type of the field."""
    for note in reversed(getattr(error, "__notes__", ())):
        if isinstance(note, AttributeValidationNote):
            return key_of(getattr(attrs.fields(kind), note.name)), note.type
        if isinstance(note, IterableValidationNote):
            return note.index, note.type
    return None, kind


def _mismatch(error: Mismatch, path: Path) -> Finding:
    value = error.node.value if isinstance(error.node, Scalar) else None
    message = f"{_dotted(path)} must be {error.wanted}, not {describe_node(error.node)}"
    if error.choices:
        hint = did_you_mean(str(value), error.choices) if isinstance(value, str) else ""
        return Finding(
            rule="SP113", path=path, message=message, help="" if hint.startswith("known") else hint
        )
    return Finding(rule="SP112", path=path, message=message, help=_hint(error, path))


def _hint(error: Mismatch, path: Path) -> str:
    """Return what to write instead of a scalar of the wrong type."""
    node = error.node
    if not isinstance(node, Scalar):
        return ""
    if isinstance(node.value, str):
        return _hint_for_string(error.wanted, node.value)
    if node.value is None:
        return "remove the key to use the default, or write a value" if path else ""
    if "string" in error.wanted and not isinstance(node.value, str):
        source = (
            node.spot.origin.lines[node.spot.line - 1] if node.spot.origin.is_file and node.spot.line else ""
        )
        written = source[node.spot.column - 1 :][: node.spot.width] or str(node.value)
        return f'quote it: "{written}"'
    return "write true or false" if error.wanted == "true or false" else ""


def _hint_for_string(wanted: str, value: str) -> str:
    if _looks_like_number(value) or (wanted == "true or false" and value in ("true", "false")):
        return f"remove the quotes: {value}"
    if wanted == "true or false":
        return "write true or false; in YAML 1.2, yes, no, on and off are strings"
    return ""


def _looks_like_number(text: str) -> bool:
    return text.strip().lstrip("+-").isdecimal()


def _dotted(path: Path) -> str:
    path = path[1:] if path and path[0] == AT else path
    text = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path)
    return text.removeprefix(".") or "the recipe"


def section(node: Node | None) -> Mapping | None:
    """Return the node if it is a mapping."""
    return node if isinstance(node, Mapping) else None
