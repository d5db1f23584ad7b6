"""Find and read the summaries that a user names.

In: paths of a summary file, a run directory, a job's directory (its latest attempt) or a directory of jobs (all of them).
Out: summaries in the given order, without duplicates, and messages about runs that cannot be shown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from attrs import Factory, define

from srtplan.results.read import fallback_summary
from srtplan.results.read.model import FORMAT, Summary, shape_error

FILE = Path("results") / "summary.json"
TRACES = (FILE, Path("status.json"), Path("events.jsonl"))
"""Files by which a run directory is recognised."""


class ResultsError(Exception):
    """A run is missing or cannot be read."""


@define
class FoundRuns:
    """Summaries by file, messages about broken runs (``broken``) and about runs without results (``notes``)."""

    by_place: dict[Path, Summary] = Factory(dict)
    broken: list[str] = Factory(list)
    notes: list[str] = Factory(list)

    @property
    def summaries(self) -> tuple[Summary, ...]:
        """All summaries, in the order in which they were found."""
        return tuple(self.by_place.values())


def load(paths: Iterable[Path]) -> tuple[Summary, ...]:
    """The summaries of all paths. Raises ResultsError for the first broken run."""
    found = survey(paths)
    if found.broken:
        raise ResultsError(found.broken[0])
    return found.summaries


def survey(paths: Iterable[Path]) -> FoundRuns:
    """Everything that can be read from the paths; a broken run does not hide the others."""
    found = FoundRuns()
    for path in paths:
        _try(_take_named, found, path)
    return found


def _try(take: Callable[[FoundRuns, Path], bool], found: FoundRuns, path: Path) -> bool:
    """Call ``take`` and return its result; True as well if the path cannot be read, mostly another user's directory."""
    try:
        return take(found, path)
    except OSError as e:
        found.broken.append(f"cannot read {e.filename or path}: {e.strerror}")
        return True


def _take_named(found: FoundRuns, path: Path) -> bool:
    if path.is_file():
        _take(found, path)
    elif not path.is_dir():
        found.broken.append(f"run not found: {path}")
    elif run_dir := _run_of(path):
        _take(found, run_dir)
    else:
        _take_jobs(found, path)
    return True


def _run_of(path: Path) -> Path | None:
    """The directory itself if it is a run directory, else a job's latest attempt; None if it is neither."""
    if any((path / name).is_file() for name in TRACES):
        return path
    return next((run for run in _attempts(path) if any((run / name).is_file() for name in TRACES)), None)


def _attempts(job: Path) -> list[Path]:
    """``latest``, then all attempts from the newest to the oldest: a copy of a job may lack the link."""
    numbered = (p for p in job.glob("attempt_*") if p.is_dir() and p.name[8:].isdigit())
    return [job / "latest", *sorted(numbered, key=lambda p: -int(p.name[8:]))]


def _take_jobs(found: FoundRuns, folder: Path) -> None:
    """Take every job in a directory; note jobs that have no results."""
    children = sorted(folder.iterdir(), key=lambda p: _natural(p.name))
    there = [_try(_take_job, found, path) for path in children]
    if not any(there):
        found.broken.append(
            f"no results in {folder}: pass a run directory, a job's directory or a directory of jobs"
        )


def _take_job(found: FoundRuns, path: Path) -> bool:
    if not path.is_dir():
        return False
    if run_dir := _run_of(path):
        _take(found, run_dir)
    elif len(_attempts(path)) > 1:
        found.notes.append(f"{path} has neither {FILE} nor {TRACES[1]}")
    return run_dir is not None


def _natural(name: str) -> tuple[int, str]:
    """A sort key that orders job ids by number."""
    return (int(name), "") if name.isdecimal() else (-1, name)


def _take(found: FoundRuns, place: Path) -> None:
    """Read a run directory or a summary file, unless it was read before."""
    file = place if place.is_file() else place / FILE
    key = file.resolve()
    if key in found.by_place:
        return
    try:
        summary = _read(file) if file.is_file() else fallback_summary.build_summary(place.resolve())
    except ResultsError as e:
        found.broken.append(str(e))
        return
    found.by_place[key] = summary
    if not file.is_file() and not fallback_summary.measures_nothing(summary):
        found.notes.append(f"{place} has no {FILE}: only the job's timeline and exit class are shown")


def _read(file: Path) -> Summary:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as e:
        raise ResultsError(f"cannot read {file}: {e}") from e
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ResultsError(f"{file} is not a summary: 'format' must be '{FORMAT}'")
    if problem := shape_error(data):
        raise ResultsError(f"{file} is not a valid summary: {problem}")
    return Summary(file.absolute().parents[1], data)
