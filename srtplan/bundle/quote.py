r"""Quoting functions, one per output language. Templates print only their results.

    bash_word(word("http://", ip(3), ":8000"))   ->  "http://${IP[3]}:8000"
    bash_word(word("it costs $5"))               ->  'it costs $5'
    bash_word(word("two\nlines"))                ->  $'two\nlines'
    sbatch("--job-name=my job")                  ->  --job-name="my job"

Every text survives byte for byte, except NUL, which an argument cannot contain.

Results are cached, because thousands of launchers of one job repeat the same words.
"""

from __future__ import annotations

import re
from functools import lru_cache

from attrs import frozen

from srtplan.diagnostics import InternalError
from srtplan.ir.shell import Lit, Ref, Word, parts, word

_PLAIN = re.compile(r"[A-Za-z0-9_@%+:./-][A-Za-z0-9_@%+:./=-]*")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_FUNCTION = re.compile(r"[a-z]+::[a-z][a-z_]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPTION = re.compile(r"[a-z][a-z0-9_-]*")
_STEP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_RUNS = re.compile(r"[\x20-\x7e]+|[^\x20-\x7e]+")
_SPECIAL = re.compile(r'([\\"$`])')
_REMEMBERED = 1 << 14
_ESCAPES = {"\n": r"\n", "\t": r"\t", "\r": r"\r", "\\": r"\\", "'": r"\'"}


@frozen
class Quoted:
    """Text that is safe to print in its output language."""

    text: str


def bash_word(value: Word) -> Quoted:
    """One argument of a bash command; raises InternalError for a NUL."""
    return _text(value.text) if isinstance(value, Lit) else _joined(value)


def home_path(text: str) -> Quoted:
    """A path as one word; bash expands a leading ``~/`` to the home of the user who runs the job."""
    home, rest = ("~/", text[2:]) if text.startswith("~/") else ("", text)
    return Quoted(home + bash_word(Lit(rest)).text)


def function_name(text: str) -> Quoted:
    """The name of a library function, ``area::verb``."""
    return _checked(_FUNCTION, text, "library function")


def step_name(text: str) -> Quoted:
    """The name of a step, which is part of file names and a key of bash arrays."""
    return _checked(_STEP, text, "step name")


def option(name: str, value: Word | None) -> Quoted:
    """``--name=value``, or the bare flag."""
    flag = f"--{_option_name(name).text}"
    return Quoted(flag if value is None else f"{flag}={bash_word(value).text}")


@lru_cache(_REMEMBERED)
def env_name(text: str) -> Quoted:
    """The name of an environment variable."""
    return _checked(_NAME, text, "environment name")


def row(text: str) -> Quoted:
    """A row of a table, always in single quotes to keep columns aligned."""
    if "'" in text or not text.isascii() or not text.isprintable():
        raise InternalError([f"invalid table row: {text!r}"])
    return Quoted(f"'{text}'")


def env_pair(name: str, value: Word) -> Quoted:
    """``NAME=value`` as one word; raises InternalError for an invalid name."""
    return bash_word(word(f"{env_name(name).text}=", value))


def sbatch(directive: str) -> Quoted:
    """A ``#SBATCH`` directive with Slurm's own quoting, which cannot express a line break."""
    if "\n" in directive or "\r" in directive or "\0" in directive:
        raise InternalError([f"line break in a directive: {directive!r}"])
    option, sep, value = directive.partition("=")
    if re.fullmatch(r"[^\s'\"\\#]*", value):
        return Quoted(directive)
    escaped = value.replace("\\", r"\\").replace('"', r"\"")
    return Quoted(f'{option}{sep}"{escaped}"')


def comment(text: str) -> Quoted:
    """Lines of a bash comment."""
    lines = ["".join(c if c.isprintable() else "?" for c in line).strip() for line in text.splitlines()]
    return Quoted("\n".join(f"# {line}" if line else "#" for line in lines))


def number(value: int) -> Quoted:
    """A whole number."""
    return Quoted(str(int(value)))


@lru_cache(_REMEMBERED)
def _text(text: str) -> Quoted:
    return Quoted(_literal(text))


@lru_cache(_REMEMBERED)
def _joined(value: Word) -> Quoted:
    pieces = parts(value)
    if all(isinstance(p, Lit) for p in pieces):
        return Quoted(_literal("".join(p.text for p in pieces if isinstance(p, Lit))))
    return Quoted("".join(_segments(pieces)))


@lru_cache(_REMEMBERED)
def _option_name(text: str) -> Quoted:
    return _checked(_OPTION, text, "srun option name")


def _checked(pattern: re.Pattern[str], text: str, what: str) -> Quoted:
    if not pattern.fullmatch(text):
        raise InternalError([f"invalid {what}: {text!r}"])
    return Quoted(text)


def _literal(text: str) -> str:
    """Fixed text as one bash word: unquoted, in single quotes, or as ``$'...'``."""
    if "\0" in text:
        raise InternalError([f"NUL in a word: {text!r}"])
    if _PLAIN.fullmatch(text) and not _ASSIGNMENT.match(text):
        return text
    if text.isascii() and text.isprintable() and "'" not in text and not text.endswith("\\"):
        return f"'{text}'"
    return "$'" + "".join(_ansi(c) for c in text) + "'"


def _ansi(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    return char if char.isprintable() else "".join(f"\\x{b:02x}" for b in char.encode())


def _segments(pieces: tuple[Lit | Ref, ...]) -> list[str]:
    """Double-quoted text with references, interleaved with ``$'...'`` for unprintable characters."""
    out: list[str] = []
    quoted = ""
    for piece in pieces:
        if isinstance(piece, Ref):
            quoted += _reference(piece)
            continue
        for run in _RUNS.findall(piece.text):
            if run[0].isascii() and run[0].isprintable():
                quoted += _SPECIAL.sub(r"\\\1", run)
            else:
                out += [f'"{quoted}"'] if quoted else []
                out.append(_literal(run))
                quoted = ""
    return [*out, f'"{quoted}"'] if quoted else out


def _reference(ref: Ref) -> str:
    return f"${{{ref.name}}}" if ref.index is None else f"${{{ref.name}[{ref.index}]}}"
