"""From bytes to text: one YAML file, read once and checked before parsing.

In: a path and the name that the user gave it. Out: its ``Origin`` and sha256; or an ``InputError`` with the position of
the invalid byte::

    recipe.yaml:3:8: error[SP102]: invalid UTF-8: byte 0xff
"""

from __future__ import annotations

import hashlib
import re
import stat
import sys
from pathlib import Path

from attrs import frozen

from srtplan.config.yaml.tree import Origin, Spot
from srtplan.diagnostics import InputError, Problem, Report

STDIN = "-"
MAX_BYTES = 1 << 18
"""The longest public recipe has 24 kB. A file of this size is checked within two seconds, whatever its content."""
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ufeff\ufffe\uffff]")


@frozen(eq=False, repr=False)
class Text:
    """The text of a file."""

    origin: Origin
    sha256: str


def read(path: Path, name: str) -> Text:
    """Return the text of a file without its byte order mark. Raises InputError."""
    raw = _bytes(path, name)
    if len(raw) > MAX_BYTES:
        raise fatal(_too_large(raw, name))
    text = _decode(raw, name).removeprefix("\ufeff")
    origin = Origin(name, text)
    if found := _CONTROL.search(text):
        raise fatal(_at(origin, found.start()).problem("SP102", _unprintable(found.group())))
    return Text(origin, hashlib.sha256(raw).hexdigest())


def fatal(*problems: Problem) -> InputError:
    """Return the exception for problems that prevent any further check."""
    return InputError(Report(problems))


def _too_large(raw: bytes, name: str) -> Problem:
    """Return the problem at the line that exceeds the limit."""
    line = raw.count(b"\n", 0, MAX_BYTES) + 1
    message = f"the file is larger than {MAX_BYTES >> 10} KiB"
    return Problem(file=name, line=line, column=1, severity="error", rule="SP101", message=message)


def _bytes(path: Path, name: str) -> bytes:
    try:
        if name == STDIN:
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise fatal(_problem(name, "is a directory, not a recipe", rule="SP101"))
        if not stat.S_ISREG(mode):  # reading a pipe or a device may never end
            hint = f"write {STDIN} to read standard input"
            raise fatal(_problem(name, "is not a regular file", rule="SP101", hint=hint))
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise fatal(_problem(name, "no such file", rule="SP101")) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise fatal(_problem(name, f"cannot be read: {reason}", rule="SP101")) from None


def _decode(raw: bytes, name: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode()
        where = _at(Origin(name, before + "\N{REPLACEMENT CHARACTER}"), len(before))
        hint = "save the file as UTF-8" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        raise fatal(
            where.problem("SP102", f"invalid UTF-8: byte 0x{raw[error.start]:02x}", hint=hint)
        ) from None


def _at(origin: Origin, index: int) -> Spot:
    before = Origin("", origin.text[:index]).lines
    return Spot(origin, len(before), len(before[-1]) + 1)


def _unprintable(character: str) -> str:
    return f"control character U+{ord(character):04X} in the text"


def _problem(name: str, message: str, *, rule: str, hint: str = "") -> Problem:
    return Problem(file=name, line=0, column=0, severity="error", rule=rule, message=message, help=hint)
