"""Typed shell words: fixed text, or a value that is known only on the cluster.

``word("http://", ip(3), ":8000")`` is a word with a reference to the address of the fourth node. It is rendered quoted for
bash (``"http://${IP[3]}:8000"``) or in the notation of the Plan (``http://${IP[3]}:8000``), where a literal ``$`` before
``{`` is doubled. Text is never searched for references.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from attrs import frozen

RefName = Literal["NODE", "IP", "JOB_ID", "RUN_DIR", "LOG_DIR", "BUNDLE_DIR"]


@frozen
class Lit:
    """Literal text."""

    text: str


@frozen
class Ref:
    """A value that is known at run time. ``NODE`` and ``IP`` have the index of a node in the allocation."""

    name: RefName
    index: int | None = None


@frozen(cache_hash=True)
class Cat:
    """One word of several parts, joined without spaces."""

    parts: tuple[Lit | Ref, ...]


Word = Lit | Ref | Cat
Words = tuple[Word, ...]
_KINDS = (Lit, Ref, Cat)
"""For ``isinstance``: the union type would be built again for each of a job's 100,000 words."""

JOB_ID = Ref("JOB_ID")
RUN_DIR = Ref("RUN_DIR")
LOG_DIR = Ref("LOG_DIR")
BUNDLE_DIR = Ref("BUNDLE_DIR")


_CACHED = 1 << 13
"""Words to cache: most words occur in many steps of a job and in many jobs of a directory."""


@lru_cache(_CACHED)
def fixed(text: str) -> Lit:
    """Return a text as a word."""
    return Lit(text)


@lru_cache(_CACHED)
def node(index: int) -> Ref:
    """Return a reference to the host name of node ``index`` of the allocation."""
    return Ref("NODE", index)


@lru_cache(_CACHED)
def ip(index: int) -> Ref:
    """Return a reference to the address of node ``index`` of the allocation."""
    return Ref("IP", index)


def word(*parts: str | int | Word) -> Word:
    """Join parts to one word. Adjacent texts are merged, so equal words compare equal."""
    if len(parts) == 1:
        only = parts[0]
        return only if isinstance(only, _KINDS) else fixed(str(only))
    flat: list[Lit | Ref] = []
    text = ""
    for part in parts:
        if not isinstance(part, _KINDS):
            text += str(part)
            continue
        for piece in part.parts if isinstance(part, Cat) else (part,):
            if isinstance(piece, Ref):
                flat += [fixed(text), piece] if text else [piece]
                text = ""
            else:
                text += piece.text
    if text or not flat:
        flat.append(fixed(text))
    return flat[0] if len(flat) == 1 else Cat(tuple(flat))


def words(*items: str | int | Word) -> Words:
    """Return an argv: one word per item."""
    return tuple([i if isinstance(i, _KINDS) else fixed(str(i)) for i in items])


def notation(value: Word) -> str:
    """Return the word in the notation of the Plan: ``http://${IP[3]}:8000``."""
    if isinstance(value, Lit):
        return value.text.replace("${", "$${")
    if isinstance(value, Cat):
        return "".join([notation(p) for p in value.parts])
    return f"${{{value.name}}}" if value.index is None else f"${{{value.name}[{value.index}]}}"


def parts(value: Word) -> tuple[Lit | Ref, ...]:
    """Return the parts of a word."""
    return value.parts if isinstance(value, Cat) else (value,)
