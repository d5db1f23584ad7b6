"""Create run directories as a job leaves them, for tests that read results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from srtplan.pipeline import compile_recipe
from srtplan.plan.show.serialise import to_json

Data = dict[str, Any]
TIMES = {"mean": 1.1, "p50": 1.0, "p90": 1.3, "p95": 1.5, "p99": 2.0, "std": 0.2}


def record(concurrency: int, *, user: float = 100.0, gpu: float = 50.0, ttft: float = 120.0) -> Data:
    """A record of a successful run."""
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
    """A record of a failed run."""
    return {
        "name": f"concurrency_{concurrency}",
        "status": "failed",
        "reason": "no output tokens",
        "concurrency": concurrency,
    }


def job(
    folder: Path, job_id: int, *records: Data, plan: Data | None = None, events: str = "", **more: object
) -> Path:
    """Create a job's directory with one attempt, and return the attempt's directory."""
    run_dir = begun(folder, job_id, PLAN if plan is None else plan)
    (run_dir / "results").mkdir()
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
    if events:
        (run_dir / "events.jsonl").write_text(events)
    return run_dir


def begun(folder: Path, job_id: int, plan: Data) -> Path:
    """Create the directory of a run that has written nothing but its copy of the bundle."""
    run_dir = folder / str(job_id) / "attempt_0"
    (run_dir / "bundle").mkdir(parents=True)
    (run_dir / "bundle" / "plan.json").write_text(json.dumps(plan))
    (folder / str(job_id) / "latest").symlink_to("attempt_0")
    return run_dir


def unmeasured(folder: Path, job_id: int, **plan: object) -> Path:
    """Create a job without a summary, by default one that only serves, and return the attempt's directory."""
    nothing = {"type": "manual", "node": 0, "parameters": {}, "runs": []}
    run_dir = begun(folder, job_id, PLAN | {"benchmark": nothing} | plan)
    (run_dir / "results").mkdir()
    (run_dir / "events.jsonl").write_text(EVENTS)
    status = {
        "job_id": str(job_id),
        "name": "serve",
        "stage": "end",
        "t": 205,
        "class": "cancelled",
        "code": 79,
        "cause": "received TERM",
    }
    (run_dir / "status.json").write_text(json.dumps(status))
    return run_dir


def counted(at: float, prefill: int, decode: int, wanted: tuple[int, int] = (1, 1)) -> Data:
    """An event of a probe that counts workers."""
    workers = {"prefill": prefill, "prefill_wanted": wanted[0], "decode": decode, "decode_wanted": wanted[1]}
    return {"t": at, "event": "probes", "ready": 0, "of": 1, "workers": workers, "waiting": "router_0"}


def stage(at: float, name: str) -> Data:
    """An event for the begin of a stage."""
    return {"t": at, "event": "stage", "stage": name}


def step(at: float, name: str, state: str, **more: object) -> Data:
    """An event of a step."""
    return {"t": at, "event": "step", "step": name, "state": state, **more}


def lines(*events: Data) -> str:
    """The text of an events file."""
    return "".join(json.dumps(e) + "\n" for e in events)


EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "sglang-router-1p1d.yaml"
PLAN: Data = json.loads(to_json(compile_recipe(str(EXAMPLE))[0].plan))
"""One prefill and one decode worker behind SGLang's router, which counts them, and a benchmark."""

EVENTS = lines(
    stage(0.1, "preflight"),
    stage(2, "worker"),
    step(2, "prefill_0", "started", pid=1),
    step(2, "decode_0", "started", pid=2),
    stage(3, "frontend"),
    step(3, "router_0", "started", pid=3),
    stage(3, "health"),
    counted(4, 0, 0),
    counted(60, 1, 0),
    counted(90, 1, 1),
    step(90, "router_0", "ready"),
    stage(91, "benchmark"),
    step(91, "benchmark", "started", pid=4),
    step(200, "decode_0", "ended", exit=9),
    stage(201, "stop"),
    step(203, "benchmark", "ended", exit=0),
    {"t": 205, "event": "end", "class": "worker", "code": 74},
)
