"""Printing to stderr: prose, problems (with their position in bold on a terminal) and internal errors."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from srtplan import __version__
from srtplan.diagnostics import InputError, InternalError, Report, count_of

INTERNAL = 70
"""The exit code of an internal error."""

_HEAD = re.compile(r"^(.*?): (error|warning)(\[SP\d+\]): (.*)$")
_COLOUR = {"error": "\033[1;31m", "warning": "\033[1;33m"}


def say(text: str = "") -> None:
    """Print a line to stderr."""
    print(text, file=sys.stderr)


def say_profile(cluster: Path | None) -> None:
    """Print which cluster profile is used, and what selected it. Its errors are printed with the other problems."""
    from srtplan.config.profile import VARIABLE, find  # noqa: PLC0415 -- `results` and `rehearse` need no profile

    try:
        found = find(Path.cwd(), os.environ, cluster)
    except InputError:
        return
    if found is not None:
        by = "--cluster" if cluster else f"${VARIABLE}" if os.environ.get(VARIABLE) else ""
        say(f"cluster profile: {found[1]}" + (f" ({by})" if by else ""))


def problems(report: Report) -> None:
    """Print all problems and their number."""
    if not report.problems:
        return
    text = report.render()
    say("\n".join(map(_paint, text.split("\n"))) if _coloured() else text)
    errors = len(report.errors)
    warnings = len(report.problems) - errors
    counts = [count_of(n, what) for n, what in ((errors, "error"), (warnings, "warning")) if n]
    say("\n" + ", ".join(counts))


def internal(error: Exception, recipe: str = "") -> str:
    """Print an internal error and the recipe that caused it; return it as one line, for JSON."""
    where = f" in {recipe}" if recipe else ""
    what = error.violations if isinstance(error, InternalError) else (str(error),)
    say(f"srtplan {__version__}: internal error{where}, please report it: {type(error).__name__}")
    for line in what:
        say(f"  {line}")
    if os.environ.get("SRTPLAN_DEBUG"):
        import traceback  # noqa: PLC0415

        traceback.print_exception(error)
    else:
        say("  (set SRTPLAN_DEBUG=1 for a traceback)")
    return f"internal error: {type(error).__name__}: {'; '.join(what)}"


def _coloured() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")


def _paint(line: str) -> str:
    found = _HEAD.match(line)
    if not found:
        return line
    place, severity, rule, message = found.groups()
    return f"\033[1m{place}\033[0m: {_COLOUR[severity]}{severity}{rule}\033[0m: {message}"
