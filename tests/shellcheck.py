"""Run ShellCheck and ``bash -n`` on the files of a bundle.

ShellCheck takes seconds for a file together with the library that it sources. Files that differ only in numbers and quoted
text are therefore checked with the library once in a test run. Every file is also checked by itself.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

import effort

ROOT = Path(__file__).parents[1]
OPTIONAL = (
    "check-set-e-suppressed,check-extra-masked-returns,require-double-brackets,"
    "require-variable-braces,quote-safe-variables"
)
ALONE = ("--exclude=SC1091,SC2034",)
"""Warnings disabled for a launcher without the library: its arrays are used there, and the library is not followed."""
DATA = re.compile(
    r"\$?'(?:[^'\\\n]|\\.)*'|\"[^\"$`\\\n]*\"|(?<==)[\w./:-]+|(?<=\()[\w./ -]*(?=\)$)|\d+", re.MULTILINE
)
"""Numbers, text without expansions, and plain words that are values."""


def syntax(files: Iterable[Path]) -> str:
    """The errors of ``bash -n``; empty if there are none."""
    errors = [
        subprocess.run(["bash", "-n", f], capture_output=True, text=True, check=False).stderr for f in files
    ]
    return "".join(errors)


def alone(files: Sequence[Path]) -> str:
    """ShellCheck's findings for files without the library, which is fast enough for hundreds of bundles."""
    return _shellcheck("--norc", *ALONE, f"--enable={OPTIONAL}", *files)


def with_library(folder: Path, files: Sequence[str]) -> str:
    """ShellCheck's findings for files of a bundle, alone and together with the library that they source."""
    findings = alone([folder / name for name in files])
    library = "".join(p.read_text() for p in sorted((folder / "lib").rglob("*")) if p.is_file())
    for name in files:
        known = _clean_shapes() / hashlib.sha256((shape(folder / name) + library).encode()).hexdigest()
        if known.exists():
            continue
        found = _shellcheck(f"--rcfile={ROOT / '.shellcheckrc'}", "--external-sources", name, cwd=folder)
        findings += found
        if not found:
            known.touch()
    return findings


def shape(path: Path) -> str:
    """A script without data and comments, and with repeated lines merged."""
    lines = DATA.sub("_", path.read_text()).splitlines()
    code = (line for line in lines if not line.lstrip().startswith("#") or "shellcheck" in line)
    return "\n".join(line for line, _ in groupby(code))


def _clean_shapes() -> Path:
    """The directory that lists clean shapes, shared by all workers of this test run."""
    folder = Path(os.environ[effort.SHARED]) / "shellcheck"
    folder.mkdir(exist_ok=True)
    return folder


def _shellcheck(*words: str | Path, cwd: Path | None = None) -> str:
    return subprocess.run(["shellcheck", *words], cwd=cwd, capture_output=True, text=True, check=False).stdout
