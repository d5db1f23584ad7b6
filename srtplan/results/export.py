"""Machine-readable results: CSV with one row per measured run, JSON with all summaries.

The CSV has the columns of the job, then those of a record as named in ``summary.json``, then ``scores.NAME`` for each score.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence

from srtplan.results.compare.pareto import pareto_fronts
from srtplan.results.read.model import FORMAT, Record, Summary, as_text
from srtplan.results.read.workload import Workload

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
ROLES = ("total", "prefill", "decode", "agg")


def to_csv(summaries: Sequence[Summary]) -> str:
    """A header and one row per measured run; unknown values are empty."""
    best = {id(r.values) for _, found in pareto_fronts(summaries) for _, r in found}
    records = [(s, r) for s in summaries for r in s.records]
    keys = dict.fromkeys(k for _, r in records for k in r.values if k not in ("name", "scores"))
    scores = dict.fromkeys(k for _, r in records for k in r.scores)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            *JOB,
            *(f"gpus_{r}" for r in ROLES),
            "run",
            *keys,
            *(f"scores.{k}" for k in scores),
            "on_pareto_front",
        ]
    )
    for s, r in records:
        job = [*(s.text(k) for k in JOB), *(str(s.gpus.get(role, "")) for role in ROLES)]
        own = [*(_cell(r.values.get(k)) for k in keys), *(r.scores.get(k, "") for k in scores)]
        writer.writerow([*job, r.name, *own, str(id(r.values) in best).lower()])
    return out.getvalue()


def _cell(value: object) -> str:
    """A value as text. List items are joined by ``;``, because names of scores contain commas; mappings become JSON."""
    if isinstance(value, list):
        return ";".join(map(as_text, value))
    return json.dumps(value) if isinstance(value, bool | Mapping) else as_text(value)


def to_json(summaries: Sequence[Summary]) -> str:
    """All summaries, and the runs on the Pareto front of each workload."""
    data = {
        "format": FORMAT,
        "summaries": [{"run_dir": str(s.run_dir), **s.values} for s in summaries],
        "pareto_front": [_point(load, s, r) for load, found in pareto_fronts(summaries) for s, r in found],
    }
    return json.dumps(data, indent=1) + "\n"


def _point(load: Workload, summary: Summary, record: Record) -> dict[str, object]:
    keys = ("name", "concurrency", "tokens_per_s_per_user", "output_tokens_per_s_per_gpu")
    own = {k: record.values.get(k) for k in keys}
    return {"job_id": summary.text("job_id"), **own, "workload": load.data}
