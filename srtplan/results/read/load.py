"""From what a user names to summaries.

In: paths: a summary file, a run directory, a job's directory (its latest attempt), or a directory of jobs (all of them).
Out: summaries, in the order given, each once, and sentences about what could not be shown.
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
"""What a job leaves of itself, the best first."""


class ResultsError(Exception):
    """There is nothing to show, or it cannot be read."""


@define
class FoundRuns:
    """What there is: summaries by place, sentences about broken jobs, and about jobs that left less than they should."""

    by_place: dict[Path, Summary] = Factory(dict)
    broken: list[str] = Factory(list)
    notes: list[str] = Factory(list)

    @property
    def summaries(self) -> tuple[Summary, ...]:
        """In the order in which they were named."""
        return tuple(self.by_place.values())


def load(paths: Iterable[Path]) -> tuple[Summary, ...]:
    """The summaries of all paths. Raises ResultsError with the first that is broken."""
    found = survey(paths)
    if found.broken:
        raise ResultsError(found.broken[0])
    return found.summaries


def survey(paths: Iterable[Path]) -> FoundRuns:
    """All that can be shown of all paths; what is broken does not hide the rest."""
    found = FoundRuns()
    for path in paths:
        _try(_take_named, found, path)
    return found


def _try(take: Callable[[FoundRuns, Path], bool], found: FoundRuns, path: Path) -> bool:
    """Take what is there; True if something is, and be it something that may not be read: mostly it is somebody else's."""
    try:
        return take(found, path)
    except OSError as e:
        found.broken.append(f"{e.filename or path}: cannot be read: {e.strerror}")
        return True


def _take_named(found: FoundRuns, path: Path) -> bool:
    if path.is_file():
        _take(found, path)
    elif not path.is_dir():
        found.broken.append(f"{path}: there is no such run")
    elif run_dir := _run_of(path):
        _take(found, run_dir)
    else:
        _take_jobs(found, path)
    return True


def _run_of(path: Path) -> Path | None:
    """A run directory as it stands, or the latest of a job's."""
    if any((path / name).is_file() for name in TRACES):
        return path
    return next((run for run in _attempts(path) if any((run / name).is_file() for name in TRACES)), None)


def _attempts(job: Path) -> list[Path]:
    """``latest``, then the others from the newest on: a link may be lost when a job is copied."""
    numbered = (p for p in job.glob("attempt_*") if p.is_dir() and p.name[8:].isdigit())
    return [job / "latest", *sorted(numbered, key=lambda p: -int(p.name[8:]))]


def _take_jobs(found: FoundRuns, folder: Path) -> None:
    """Every job below a folder; what looks like one and left nothing is named."""
    children = sorted(folder.iterdir(), key=lambda p: _natural(p.name))
    there = [_try(_take_job, found, path) for path in children]
    if not any(there):
        found.broken.append(f"{folder}: no {FILE} in it; is it a run, a job, or a directory of jobs?")


def _take_job(found: FoundRuns, path: Path) -> bool:
    if not path.is_dir():
        return False
    if run_dir := _run_of(path):
        _take(found, run_dir)
    elif len(_attempts(path)) > 1:
        found.notes.append(f"{path}: no {FILE} and no {TRACES[1]} in it")
    return run_dir is not None


def _natural(name: str) -> tuple[int, str]:
    """Job ids by number."""
    return (int(name), "") if name.isdecimal() else (-1, name)


def _take(found: FoundRuns, place: Path) -> None:
    """A run directory, or a file named by itself."""
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
        found.notes.append(f"{place}: no {FILE}: there are no results, only how the job went")


def _read(file: Path) -> Summary:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as e:
        raise ResultsError(f"{file}: cannot be read: {e}") from e
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ResultsError(f"{file}: is no summary of the format {FORMAT}")
    if what := shape_error(data):
        raise ResultsError(f"{file}: is no summary of ours: {what}")
    return Summary(file.absolute().parents[1], data)
