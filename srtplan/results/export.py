"""Results for programs: CSV with a row per measured run, JSON with everything.

Columns of the CSV: the job's own first, then those of a record as they are named in ``summary.json``.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

from srtplan.results.front import front
from srtplan.results.model import FORMAT, Record, Summary

JOB = (
    "name",
    "job_id",
    "attempt",
    "benchmark",
    "model",
    "engine",
    "frontend",
    "gpu_type",
    "precision",
    "nodes",
)


def to_csv(summaries: Sequence[Summary]) -> str:
    """A head and a row per run; what is not known is empty."""
    best = {id(r.values) for r in front([r for s in summaries for r in s.good])}
    keys = dict.fromkeys(
        k for s in summaries for r in s.records for k in r.values if k not in ("name", "scores")
    )
    roles = ("total", "prefill", "decode", "agg")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*JOB, *(f"gpus_{r}" for r in roles), "run", *keys, "on_pareto_front"])
    for s in summaries:
        job = [s.text(k) for k in JOB] + [str(s.gpus.get(r, "")) for r in roles]
        writer.writerows(
            [*job, r.name, *(r.text(k) for k in keys), str(id(r.values) in best).lower()] for r in s.records
        )
    return out.getvalue()


def to_json(summaries: Sequence[Summary]) -> str:
    """All summaries, and which runs are on the Pareto front over all of them."""
    best = front([r for s in summaries for r in s.good])
    owner = {id(r.values): s for s in summaries for r in s.records}
    data = {
        "format": FORMAT,
        "summaries": [{"run_dir": str(s.run_dir), **s.values} for s in summaries],
        "pareto_front": [_point(r, owner[id(r.values)]) for r in best],
    }
    return json.dumps(data, indent=1) + "\n"


def _point(record: Record, summary: Summary) -> dict[str, object]:
    keys = ("name", "concurrency", "tokens_per_s_per_user", "output_tokens_per_s_per_gpu")
    return {"job_id": summary.text("job_id"), **{k: record.values.get(k) for k in keys}}
