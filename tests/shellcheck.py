"""ShellCheck and ``bash -n`` over the files of a bundle."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
OPTIONAL = (
    "check-set-e-suppressed,check-extra-masked-returns,require-double-brackets,"
    "require-variable-braces,quote-safe-variables"
)
ALONE = ("--exclude=SC1091,SC2034",)
"""A launcher looked at without the library: its arrays are used there, and the library is not followed."""


def syntax(files: Iterable[Path]) -> str:
    """What ``bash -n`` says, empty if nothing."""
    said = [
        subprocess.run(["bash", "-n", f], capture_output=True, text=True, check=False).stderr for f in files
    ]
    return "".join(said)


def alone(files: Sequence[Path]) -> str:
    """What ShellCheck says of files by themselves: fast, for hundreds of bundles."""
    return _shellcheck("--norc", *ALONE, f"--enable={OPTIONAL}", *files)


def with_library(folder: Path, files: Sequence[str]) -> str:
    """What ShellCheck says of files of a bundle together with the library that they source."""
    return _shellcheck(f"--rcfile={ROOT / '.shellcheckrc'}", "--external-sources", *files, cwd=folder)


def _shellcheck(*words: str | Path, cwd: Path | None = None) -> str:
    return subprocess.run(["shellcheck", *words], cwd=cwd, capture_output=True, text=True, check=False).stdout
