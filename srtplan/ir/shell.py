"""Shell words that are typed: fixed text, or a value that is known only on the cluster.

``word("http://", ip(3), ":8000")`` is a word with a reference to the address of the fourth node. Rendering quotes
it for bash (``"http://${IP[3]}:8000"``) or writes it in the Plan's notation (``http://${IP[3]}:8000``); a literal
``$`` before ``{`` is doubled there. Text is never searched for references.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from attrs import frozen

RefName = Literal["NODE", "IP", "JOB_ID", "RUN_DIR", "LOG_DIR", "BUNDLE_DIR"]


@frozen
class Lit:
    """Text, taken as it is."""

    text: str


@frozen
class Ref:
    """A value of the run: ``NODE`` and ``IP`` have the index of a node in the allocation."""

    name: RefName
    index: int | None = None


@frozen(cache_hash=True)
class Cat:
    """Several parts, joined without a space: one word."""

    parts: tuple[Lit | Ref, ...]


Word = Lit | Ref | Cat
Words = tuple[Word, ...]
_KINDS = (Lit, Ref, Cat)
"""``isinstance`` with the union would build it anew for each of a job's 100,000 words."""

JOB_ID = Ref("JOB_ID")
RUN_DIR = Ref("RUN_DIR")
LOG_DIR = Ref("LOG_DIR")
BUNDLE_DIR = Ref("BUNDLE_DIR")


_REMEMBERED = 1 << 13
"""Steps of one job say mostly the same, and so do the jobs of a directory: a word of theirs is made once."""


@lru_cache(_REMEMBERED)
def fixed(text: str) -> Lit:
    """A text as a word."""
    return Lit(text)


@lru_cache(_REMEMBERED)
def node(index: int) -> Ref:
    """The host name of node ``index`` of the allocation."""
    return Ref("NODE", index)


@lru_cache(_REMEMBERED)
def ip(index: int) -> Ref:
    """The address of node ``index`` of the allocation."""
    return Ref("IP", index)


def word(*parts: str | int | Word) -> Word:
    """One word of several parts; neighbouring text is joined, so equal words compare equal."""
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
    """An argv: every item a word of its own."""
    return tuple([i if isinstance(i, _KINDS) else fixed(str(i)) for i in items])


def notation(value: Word) -> str:
    """The word in the Plan's notation, ``http://${IP[3]}:8000``."""
    if isinstance(value, Lit):
        return value.text.replace("${", "$${")
    if isinstance(value, Cat):
        return "".join([notation(p) for p in value.parts])
    return f"${{{value.name}}}" if value.index is None else f"${{{value.name}[{value.index}]}}"


def parts(value: Word) -> tuple[Lit | Ref, ...]:
    """The parts of any word."""
    return value.parts if isinstance(value, Cat) else (value,)
