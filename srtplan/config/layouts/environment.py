"""``$VAR`` and ``~`` in paths, replaced while compiling: a bundle holds no reference to the submitter's shell.

In: a text, the environment, where it stands. Out: the text, or a finding for a variable that is not set::

    expand("$MODELS/r1", {"MODELS": "/lustre/models"}, ...)  ->  "/lustre/models/r1"
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from srtplan.diagnostics import Finding, Path

_VARIABLE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")


def expand(text: str, environ: Mapping[str, str], path: Path, findings: list[Finding]) -> str:
    """The text with variables and a leading ``~/`` replaced."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in environ:
            findings.append(
                Finding(
                    rule="SP212",
                    path=path,
                    message=f"the environment variable {name} is not set",
                    help=f"set it when compiling, or write the path: {name}=/... srtplan ...",
                )
            )
        return environ.get(name, match[0])

    if text == "~" or text.startswith("~/"):
        text = "$HOME" + text[1:]
    return _VARIABLE.sub(value, text)
