"""The ``results`` command: print tables, CSV or JSON, write pictures and an HTML page, compare two runs."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from srtplan.cli.output import say
from srtplan.results import export, table
from srtplan.results.compare import comparison, plan_differences
from srtplan.results.draw import pictures
from srtplan.results.read import load
from srtplan.results.read.load import FoundRuns
from srtplan.results.read.model import Summary

WRONG_USAGE = 2


def show(
    runs: Sequence[Path], *, form: str, html: Path | None, folder: Path | None, kinds: Sequence[str]
) -> int:
    """Print the results of runs and write the requested page and pictures. Returns 1 if a run cannot be shown."""
    if folder is not None and not pictures.has_matplotlib():
        say("srtplan: --pictures requires matplotlib: pip install 'srtplan[results]'")
        return WRONG_USAGE
    found = _survey(runs)
    summaries = found.summaries
    if not summaries:
        return 1
    try:
        if html is not None:
            _write_page(summaries, html)
        if folder is not None:
            _write_pictures(summaries, folder, kinds)
    except OSError as e:
        say(f"srtplan: cannot write {e.filename}: {e.strerror}")
        return 1
    drawn = len(pictures.select_for_timelines(summaries))
    if drawn < len(summaries) and (folder is not None or (html is not None and pictures.has_matplotlib())):
        say(
            f"srtplan: drew timelines for {drawn} of {len(summaries)} jobs, failed jobs first; "
            "pass a single job to draw its timeline"
        )
    write = {"csv": export.to_csv, "json": export.to_json}.get(form, _tables)
    sys.stdout.write(write(summaries))
    return int(bool(found.broken))


def _tables(summaries: Sequence[Summary]) -> str:
    """The tables as text, no wider than the terminal; of any width if stdout is a file or a pipe."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    return table.render(summaries, width)


def compare(runs: Sequence[Path], *, threshold: float, fail_above: float | None) -> int:
    """Print two runs side by side. Returns 1 if a figure is missing, or worse by more than ``fail_above`` percent."""
    found = _survey(runs)
    if found.broken:
        return 1
    if len(found.summaries) != 2:  # noqa: PLR2004 -- a comparison is of two
        count = len(found.summaries)
        say(f"srtplan: --compare requires 2 different runs, found {count}")
        return WRONG_USAGE
    a, b = found.summaries
    plan = plan_differences.diff_runs(a.run_dir, b.run_dir)
    sys.stdout.write(comparison.render(a, b, plan, threshold=threshold))
    if fail_above is None:
        return 0
    failures = comparison.failures(a, b, fail_above)
    for line in failures:
        say(f"srtplan: {line}")
    return int(bool(failures))


def _survey(runs: Sequence[Path]) -> FoundRuns:
    """Read the runs, and report on stderr what cannot be read or has no results."""
    found = load.survey(runs)
    for line in (*found.broken, *found.notes):
        say(f"srtplan: {line}")
    return found


def _write_page(summaries: Sequence[Summary], file: Path) -> None:
    from srtplan.results.draw import page  # noqa: PLC0415 -- Jinja is slow to import

    drawn = list(pictures.draw_pictures(summaries, "svg")) if pictures.has_matplotlib() else None
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page.render(summaries, drawn), encoding="utf-8")
    say(f"wrote {file}")


def _write_pictures(summaries: Sequence[Summary], folder: Path, kinds: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for kind in kinds:
        for picture in pictures.draw_pictures(summaries, kind):
            file = folder / f"{picture.name}.{kind}"
            file.write_bytes(picture.content)
            say(f"wrote {file}")
