"""Mask secrets in a text or a document, by the name of their key and by the form of well-known tokens.

``mask({"HF_TOKEN": "hf_abc", "max_tokens": 8})`` is ``{"HF_TOKEN": "<secret>", "max_tokens": 8}``. References to variables
are kept. A name matches only by whole words between ``_``, ``-`` and ``.``: ``max_num_tokens`` and ``tokenizer`` do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

MASK = "<secret>"
SHORTEST = 6
"""A secret value with at least this many characters is masked everywhere, not only next to its name."""

_WORDS = (
    r"(?:token|secret|password|passwd|passphrase|credentials?|apikey|api[_-]?key|access[_-]?key|private[_-]?key|"
    r"secret[_-]?key|auth[_-]?key)"
)
_NAME = rf"(?:[A-Za-z0-9]+[_.-])*{_WORDS}(?:[_.-][A-Za-z0-9]+)*"
_IS_NAME = re.compile(rf"-{{0,2}}{_NAME}", re.IGNORECASE)
_REFERENCE = re.compile(r"\$(?:[A-Za-z_]\w*|\{[^}]*\})")
_PLAIN = re.compile(r"null|true|false|~|[+-]?[0-9.]+", re.IGNORECASE)
_QUOTED = r""""(?:[^"\\]|\\.)*"|'(?:[^']|'')*'"""
_IN_YAML = re.compile(
    rf"""(?P<head>(?<![\w.-])["']?{_NAME}["']?[ \t]*:[ \t]+)(?P<value>{_QUOTED}|[^\s"'#|>{{\[&*!][^\n,}}\]#]*)""",
    re.IGNORECASE,
)
_IN_SHELL = re.compile(
    rf"(?P<head>(?<![\w.-])(?:{_NAME}=|--{_NAME}[= ]))(?P<value>{_QUOTED}|[^\s\"']+)", re.IGNORECASE
)
_LOGIN = re.compile(r"(?P<head>[a-z][a-z0-9+.-]*://)(?P<value>[^\s/@:]*:[^\s/@]+)(?=@)", re.IGNORECASE)
_SHAPES = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{16,}|sk-[A-Za-z0-9_-]{16,}|nvapi-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|"
    r"glpat-[A-Za-z0-9_-]{16,}|AKIA[A-Z0-9]{16}|xox[abp]-[A-Za-z0-9-]{10,})"
)


def secret_values(document: object) -> frozenset[str]:
    """The lines of all secret values of a document, without lines shorter than ``SHORTEST``."""
    lines = (line.strip() for value in _secret_values(document) for line in value.splitlines())
    return frozenset(line for line in lines if len(line) >= SHORTEST)


def mask(document: object, known: Iterable[str] = ()) -> object:
    """The document with ``MASK`` for every secret; the values in ``known`` are masked everywhere."""
    longest_first = sorted({*known, *secret_values(document)}, key=len, reverse=True)
    return _mask(document, longest_first)


def mask_text(text: str, known: Iterable[str] = ()) -> str:
    """A text such as YAML or a command with ``MASK`` for every secret; the values in ``known`` are masked everywhere."""
    for value in sorted(known, key=len, reverse=True):
        text = text.replace(value, MASK)
    for pattern in (_IN_YAML, _IN_SHELL, _LOGIN):
        text = pattern.sub(_mask_match, text)
    return _SHAPES.sub(MASK, text)


def is_secret(name: str) -> bool:
    """Whether the name of a variable, key or flag denotes a secret."""
    return _IS_NAME.fullmatch(name) is not None


def _mask_match(match: re.Match[str]) -> str:
    value = match["value"]
    bare = value.strip().strip("\"'")
    quote = value[0] if value[0] in "\"'" else ""
    if not bare or bare == MASK or _REFERENCE.fullmatch(bare) or (not quote and _PLAIN.fullmatch(bare)):
        return match[0]
    trailing = value[len(value.rstrip()) :]
    return f"{match['head']}{quote}{MASK}{quote}{trailing}"


def _secret_values(document: object, *, below: bool = False) -> Iterable[str]:
    """All secret values; ``below`` a secret name, every string is one."""
    if isinstance(document, Mapping):
        for key, value in document.items():
            yield from _secret_values(value, below=below or is_secret(str(key)))
    elif isinstance(document, str):
        if below and not _REFERENCE.fullmatch(document):
            yield document
    elif isinstance(document, Sequence):
        for before, value in zip((None, *document), document, strict=False):
            yield from _secret_values(value, below=below or _is_flag(before))


def _mask(document: object, known: Sequence[str]) -> object:
    if isinstance(document, Mapping):
        return {
            k: _mask_below_secret(v) if is_secret(str(k)) else _mask(v, known) for k, v in document.items()
        }
    if isinstance(document, str):
        return mask_text(document, known)
    if isinstance(document, Sequence):
        pairs = zip((None, *document), document, strict=False)
        return [_mask_below_secret(v) if _is_flag(before) else _mask(v, known) for before, v in pairs]
    return document


def _mask_below_secret(value: object) -> object:
    """A value below a secret name, with its strings masked; empty strings, numbers and references to variables stay."""
    if isinstance(value, Mapping):
        return {k: _mask_below_secret(v) for k, v in value.items()}
    if isinstance(value, str):
        return value if not value or _REFERENCE.fullmatch(value) else MASK
    return [_mask_below_secret(v) for v in value] if isinstance(value, Sequence) else value


def _is_flag(word: object) -> bool:
    return isinstance(word, str) and word.startswith("-") and is_secret(word)
