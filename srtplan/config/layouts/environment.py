"""Expansion of ``$VAR`` and ``~`` in paths at compile time, so that a bundle does not depend on the submitter's shell.

In: a text, the environment, and the path of the text. Out: the text, or a finding for an unset variable::

    expand("$MODELS/r1", {"MODELS": "/lustre/models"}, ...)  ->  "/lustre/models/r1"
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from srtplan.diagnostics import Finding, Path

_VARIABLE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")


def expand(text: str, environ: Mapping[str, str], path: Path, findings: list[Finding]) -> str:
    """Return the text with variables and a leading ``~/`` expanded."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in environ:
            findings.append(
                Finding(
                    rule="SP212",
                    path=path,
                    message=f"the environment variable {name} is not set",
                    help=f"set it when compiling ({name}=/... srtplan ...), or write the path",
                )
            )
        return environ.get(name, match[0])

    if text == "~" or text.startswith("~/"):
        text = "$HOME" + text[1:]
    return _VARIABLE.sub(value, text)
