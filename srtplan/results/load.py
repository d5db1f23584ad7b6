"""From what a user names to summaries.

In: paths: a summary file, a run directory, a job's directory (its latest attempt), or a directory of jobs (all of them).
Out: summaries, in the order given, each once. Raises ResultsError with a sentence.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from srtplan.results.model import FORMAT, Summary

FILE = Path("results") / "summary.json"


class ResultsError(Exception):
    """There is nothing to show, or it cannot be read."""


def load(paths: Iterable[Path]) -> tuple[Summary, ...]:
    """The summaries of all paths."""
    found: dict[Path, Summary] = {}
    for path in paths:
        for file in _files(path):
            found.setdefault(file.resolve(), _read(file))
    return tuple(found.values())


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ResultsError(f"{path}: there is no such run")
    for file in (path / FILE, path / "latest" / FILE):
        if file.is_file():
            return [file]
    jobs = sorted(path.glob(f"*/latest/{FILE}"), key=lambda f: _natural(f.parts[-4]))
    if not jobs:
        raise ResultsError(f"{path}: no results/summary.json in it; did the job get as far as its benchmark?")
    return jobs


def _natural(name: str) -> tuple[int, str]:
    """Job ids by number."""
    return (int(name), "") if name.isdigit() else (-1, name)


def _read(file: Path) -> Summary:
    try:
        data = json.loads(file.read_text())
    except (OSError, ValueError) as e:
        raise ResultsError(f"{file}: cannot be read: {e}") from e
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ResultsError(f"{file}: is no summary of the format {FORMAT}")
    return Summary(file.parents[1], data)
