"""A summary for a run without ``summary.json``: it serves until it is stopped, or it ended before its benchmark did.

In: a run directory. ``bundle/plan.json`` tells what was planned, ``status.json`` how the run ended. Out: a summary without
measured runs. Values that neither file has are empty.
"""

from __future__ import annotations

from pathlib import Path

from srtplan.results.read.model import FORMAT, Summary, Values, as_text, items, members
from srtplan.results.read.run_files import read_json, read_plan

SERVING = "manual"
TOP_LEVEL = ("name", "engine", "frontend")


def measures_nothing(summary: Summary) -> bool:
    """Whether the job has no benchmark, so that a missing ``summary.json`` is expected."""
    return summary.text("benchmark") == SERVING


def build_summary(run_dir: Path) -> Summary:
    """The summary that ``plan.json`` and ``status.json`` allow."""
    plan, status = read_plan(run_dir), read_json(run_dir / "status.json")
    benchmark = members(plan.get("benchmark"))
    values: dict[str, object] = {
        "format": FORMAT,
        **{k: as_text(plan.get(k) or status.get(k)) for k in TOP_LEVEL},
        "benchmark": as_text(benchmark.get("type")),
        "model": as_text(plan.get("served_model_name")),
        "gpus": _gpus_by_role(plan),
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


def _gpus_by_role(plan: Values) -> dict[str, int]:
    """GPU counts as in ``summary.json``: per role, and ``total``."""
    counts = {"total": 0, "prefill": 0, "decode": 0, "agg": 0}
    for process in map(members, items(plan.get("processes"))):
        mode, gpus = as_text(process.get("mode")), len(items(process.get("gpus")))
        if mode in counts:
            counts[mode] += gpus
            counts["total"] += gpus
    return counts
