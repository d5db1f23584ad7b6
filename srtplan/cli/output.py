"""Printing: prose to stderr, problems with the place in bold where the terminal can."""

from __future__ import annotations

import os
import re
import sys

from srtplan.diagnostics import Report

_HEAD = re.compile(r"^(.*?): (error|warning)(\[SP\d+\]): (.*)$")
_COLOUR = {"error": "\033[1;31m", "warning": "\033[1;33m"}


def say(text: str = "") -> None:
    """One line of prose."""
    print(text, file=sys.stderr)


def problems(report: Report) -> None:
    """All problems, and how many there are."""
    if not report.problems:
        return
    text = report.render()
    say("\n".join(map(_paint, text.split("\n"))) if _coloured() else text)
    errors = len(report.errors)
    warnings = len(report.problems) - errors
    counts = [
        f"{n} {what}{'s' if n != 1 else ''}" for n, what in ((errors, "error"), (warnings, "warning")) if n
    ]
    say("\n" + ", ".join(counts))


def _coloured() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")


def _paint(line: str) -> str:
    found = _HEAD.match(line)
    if not found:
        return line
    place, severity, rule, message = found.groups()
    return f"\033[1m{place}\033[0m: {_COLOUR[severity]}{severity}{rule}\033[0m: {message}"
