"""An edit of one recipe field changes few golden lines, so that a reviewer reads what matters."""

from __future__ import annotations

import statistics
from pathlib import Path

import churn


def test_an_edit_changes_few_golden_lines(tmp_path: Path) -> None:
    """The median over all edits is at most 4 lines; `python bench/golden_churn.py` lists them."""
    counts = [sum(churn.changed(e, tmp_path / str(i)).values()) for i, e in enumerate(churn.EDITS)]
    assert len(counts) >= 50
    assert statistics.median(counts) <= 4


def test_edits_of_whole_bundles_are_counted(tmp_path: Path) -> None:
    """A time limit stands once in ``plan.txt``, twice in ``plan.json`` and in ``job.sh``; launchers have none of it."""
    edit = churn.Edit("quickstart", "slurm.time_limit", "03:30:00")
    lines = churn.changed(edit, tmp_path)
    assert {Path(path).name: count for path, count in lines.items()} == {
        "plan.txt": 1, "plan.json": 2, "job.sh": 2,
    }  # fmt: skip
