"""Run directories with results as a job leaves them, for tests of what reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Data = dict[str, Any]
TIMES = {"mean": 1.1, "p50": 1.0, "p90": 1.3, "p95": 1.5, "p99": 2.0, "std": 0.2}


def record(concurrency: int, *, user: float = 100.0, gpu: float = 50.0, ttft: float = 120.0) -> Data:
    """A rung that counts."""
    found: Data = {
        "name": f"concurrency_{concurrency}", "status": "ok", "reason": "", "tries": 1, "client": "sglang",
        "result": f"results/c{concurrency}.json", "concurrency": concurrency, "completed": 10 * concurrency, "failed": 0,
        "requests_per_s": 2.0, "output_tokens_per_s": gpu * 8, "output_tokens_per_s_per_gpu": gpu,
        "tokens_per_s_per_user": user, "score": None, "scores": {},
    }  # fmt: skip
    for name, middle in (
        ("ttft", ttft),
        ("tpot", 1000 / user),
        ("itl", 1000 / user),
        ("e2e", ttft + 1e6 / user),
    ):
        found |= {f"{name}_ms_{quantile}": middle * factor for quantile, factor in TIMES.items()}
    return found


def lost(concurrency: int) -> Data:
    """A rung without a result."""
    return {
        "name": f"concurrency_{concurrency}",
        "status": "failed",
        "reason": "no output tokens",
        "concurrency": concurrency,
    }


def job(
    folder: Path, job_id: int, *records: Data, plan: Data | None = None, events: str = "", **more: object
) -> Path:
    """A job's directory with one attempt; returns the attempt's."""
    run_dir = folder / str(job_id) / "attempt_0"
    (run_dir / "results").mkdir(parents=True)
    (run_dir / "bundle").mkdir()
    good = sum(r["status"] == "ok" for r in records)
    summary: Data = {
        "format": "srtplan.results/1", "name": "dsr1", "benchmark": "sa-bench", "model": "org/m", "engine": "sglang",
        "frontend": "dynamo", "gpu_type": "h100", "precision": "fp8", "nodes": 1,
        "gpus": {"total": 8, "prefill": 4, "decode": 4, "agg": 0}, "parameters": {"isl": "1024", "osl": "128"},
        "job_id": str(job_id), "attempt": "attempt_0", "state": "complete" if good == len(records) else "partial",
        "runs_ok": good, "runs_planned": len(records), "class": "success", "code": 0, "cause": "", "runs": list(records),
        "profiles": [],
    }  # fmt: skip
    (run_dir / "results" / "summary.json").write_text(json.dumps(summary | more))
    (run_dir / "bundle" / "plan.json").write_text(json.dumps(plan or {}))
    if events:
        (run_dir / "events.jsonl").write_text(events)
    (folder / str(job_id) / "latest").symlink_to("attempt_0")
    return run_dir


EVENTS = "".join(
    json.dumps(e) + "\n"
    for e in (
        {"t": 0.1, "event": "stage", "stage": "preflight"},
        {"t": 2, "event": "stage", "stage": "worker"},
        {"t": 2, "event": "step", "step": "decode_0", "state": "started", "pid": 1},
        {"t": 3, "event": "stage", "stage": "health"},
        {"t": 90, "event": "step", "step": "decode_0", "state": "ready"},
        {"t": 91, "event": "stage", "stage": "benchmark"},
        {"t": 91, "event": "step", "step": "benchmark", "state": "started", "pid": 2},
        {"t": 200, "event": "step", "step": "decode_0", "state": "ended", "exit": 9},
        {"t": 201, "event": "stage", "stage": "stop"},
        {"t": 205, "event": "end", "class": "worker", "code": 74},
    )
)
