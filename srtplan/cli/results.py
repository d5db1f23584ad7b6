"""The ``results`` command: results of runs as tables, CSV, JSON, charts or HTML, and a comparison of two runs."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from srtplan.cli.output import say
from srtplan.results import export, table
from srtplan.results.compare import plan_differences, summaries
from srtplan.results.draw import pictures
from srtplan.results.read import load
from srtplan.results.read.load import Found
from srtplan.results.read.model import Summary

WRONG_USAGE = 2


def show(
    runs: Sequence[Path], *, form: str, html: Path | None, folder: Path | None, kinds: Sequence[str]
) -> int:
    """Print the results of runs, and write the requested page and charts. Returns 1 if a job cannot be shown."""
    if folder is not None and not pictures.available():
        say("srtplan: --pictures requires matplotlib; install it with: pip install 'srtplan[results]'")
        return WRONG_USAGE
    found = _survey(runs)
    summaries = found.summaries
    if not summaries:
        return 1
    try:
        if html is not None:
            _page(summaries, html)
        if folder is not None:
            _pictures(summaries, folder, kinds)
    except OSError as e:
        say(f"srtplan: cannot write {e.filename}: {e.strerror}")
        return 1
    drawn = len(pictures.told_of(summaries))
    if drawn < len(summaries) and (folder is not None or (html is not None and pictures.available())):
        say(
            f"srtplan: showing timelines of {drawn} of {len(summaries)} jobs, failed jobs first; "
            "name a job to see its timeline"
        )
    write = {"csv": export.to_csv, "json": export.to_json}.get(form, _tables)
    sys.stdout.write(write(summaries))
    return int(bool(found.broken))


def _tables(summaries: Sequence[Summary]) -> str:
    """Return the tables, cut to the width of the terminal; in full for a file or a pipe."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    return table.render(summaries, width)


def compared(runs: Sequence[Path], *, threshold: float, fail_above: float | None) -> int:
    """Print a comparison of two runs. Returns 1 if a value is missing or worse by more than ``fail_above`` percent."""
    found = _survey(runs)
    if found.broken:
        return 1
    if len(found.summaries) != 2:  # noqa: PLR2004 -- a comparison is of two
        say(f"srtplan: --compare requires exactly two different runs, but {len(found.summaries)} found")
        return WRONG_USAGE
    a, b = found.summaries
    plan = plan_differences.of_runs(a.run_dir, b.run_dir)
    sys.stdout.write(summaries.render(a, b, plan, threshold=threshold))
    if fail_above is None:
        return 0
    failures = summaries.failures(a, b, fail_above)
    for line in failures:
        say(f"srtplan: {line}")
    return int(bool(failures))


def _survey(runs: Sequence[Path]) -> Found:
    """Return the readable runs; print what is missing or unreadable."""
    found = load.survey(runs)
    for line in (*found.broken, *found.notes):
        say(f"srtplan: {line}")
    return found


def _page(summaries: Sequence[Summary], file: Path) -> None:
    from srtplan.results.draw import page  # noqa: PLC0415 -- Jinja takes its time

    drawn = list(pictures.draw(summaries, "svg")) if pictures.available() else None
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page.render(summaries, drawn), encoding="utf-8")
    say(f"wrote {file}")


def _pictures(summaries: Sequence[Summary], folder: Path, kinds: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for kind in kinds:
        for picture in pictures.draw(summaries, kind):
            file = folder / f"{picture.name}.{kind}"
            file.write_bytes(picture.content)
            say(f"wrote {file}")
