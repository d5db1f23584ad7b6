"""A summary of a job that left none: one that serves until it is stopped, or that was lost before its benchmark.

In: a run directory, whose ``bundle/plan.json`` says what was to run and whose ``status.json`` how it went. Out: a summary
without measured runs. What either file does not say is empty.
"""

from __future__ import annotations

import json
from pathlib import Path

from srtplan.results.read.model import FORMAT, Summary, Values, as_text, items, members

SERVING = "manual"
OF_THE_PLAN = ("name", "engine", "frontend")


def plan_of(run_dir: Path) -> Values:
    """The Plan of a run: its own copy, else the one beside the job's runs (``srtplan apply``); empty where there is none."""
    return _json(run_dir / "bundle" / "plan.json") or _json(run_dir.parent / "bundle" / "plan.json")


def is_expected(summary: Summary) -> bool:
    """Nothing was to be measured."""
    return summary.text("benchmark") == SERVING


def summary(run_dir: Path) -> Summary:
    """What is known of the run."""
    plan, status = plan_of(run_dir), _json(run_dir / "status.json")
    benchmark = members(plan.get("benchmark"))
    known = {k: as_text(plan.get(k) or status.get(k)) for k in OF_THE_PLAN}
    values: dict[str, object] = {
        "format": FORMAT,
        **known,
        "benchmark": as_text(benchmark.get("type")),
        "model": as_text(plan.get("served_model_name")),
        "gpus": _gpus(plan),
        "nodes": members(plan.get("nodes")).get("total"),
        "parameters": dict(members(benchmark.get("parameters"))),
        "job_id": as_text(status.get("job_id")) or run_dir.parent.name,
        "attempt": run_dir.name,
        "state": "none",
        "runs_ok": 0,
        "runs_planned": sum(bool(members(r).get("result")) for r in items(benchmark.get("runs"))),
        "class": as_text(status.get("class")) or "running",
        "code": status.get("code"),
        "cause": as_text(status.get("cause")),
        "runs": [],
        "profiles": [],
    }
    return Summary(run_dir, values)


def _gpus(plan: Values) -> dict[str, int]:
    """By role, as in ``summary.json``."""
    found = {"total": 0, "prefill": 0, "decode": 0, "agg": 0}
    for process in map(members, items(plan.get("processes"))):
        mode, count = as_text(process.get("mode")), len(items(process.get("gpus")))
        if mode in found:
            found[mode] += count
            found["total"] += count
    return found


def _json(file: Path) -> Values:
    try:
        return members(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        return {}
