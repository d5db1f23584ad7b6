"""JSON files of a run directory. In: the directory. Out: their content; an empty mapping for a missing or invalid file."""

from __future__ import annotations

import json
from pathlib import Path

from srtplan.results.read.model import Values, members


def read_plan(run_dir: Path) -> Values:
    """The Plan of a run: the run's own copy, else the bundle that ``srtplan apply`` left in the job's directory."""
    return read_json(run_dir / "bundle" / "plan.json") or read_json(run_dir.parent / "bundle" / "plan.json")


def read_json(file: Path) -> Values:
    """The members of a JSON object; empty if the file cannot be read or does not hold an object."""
    try:
        return members(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        return {}
