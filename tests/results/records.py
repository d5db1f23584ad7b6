"""record.awk from Python: a report in, its record out; and the same by Python, for comparison."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LIB = Path(__file__).resolve().parents[2] / "templates" / "lib"
SAMPLES = Path(__file__).parent / "samples"
AWKS = [a for a in ("mawk", "gawk", "original-awk") if shutil.which(a)] + (
    ["busybox awk"] if shutil.which("busybox") else []
)
Report = Mapping[str, Any]


def run(
    report: bytes, client: str, *, awk: str = "awk", facts: Report | None = None, gpus: int = 8, decode: int = 4,
    bound: str = "0.05", reason: str = "",
) -> tuple[str, dict[str, Any]]:  # fmt: skip
    """The verdict line and the record; the record is read by Python's strict parser."""
    env = {
        "RECORD_NAME": "concurrency_4", "RECORD_CLIENT": client, "RECORD_RESULT": "results/r.json", "RECORD_REASON": reason,
        "RECORD_FACTS": json.dumps(facts or {"concurrency": 4}, separators=(",", ":"))[1:-1], "RECORD_CODE": "0",
        "RECORD_TRIES": "1", "RECORD_BEGAN": "1700000000", "RECORD_SECONDS": "7", "RECORD_GPUS": str(gpus),
        "RECORD_DECODE_GPUS": str(decode), "RECORD_MAX_FAILED_SHARE": bound, "LC_ALL": "C",
    }  # fmt: skip
    command = [*awk.split(), "-f", LIB / "json.awk", "-f", LIB / "record.awk"]
    done = subprocess.run(command, input=report, capture_output=True, check=True, env=os.environ | env)
    assert done.stderr == b""
    verdict, record = done.stdout.decode(errors="surrogateescape").rstrip("\n").split("\n")
    return verdict, json.loads(record, parse_constant=_refuse)


def _refuse(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON")


def text(report: Report) -> bytes:
    """A report as a Python client writes it: NaN and Infinity in it are no JSON, but they come."""
    return json.dumps(report).encode()


def finite(value: object) -> float | None:
    """A number that JSON can hold."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else None  # type: ignore[arg-type]


TIMES = {"ttft": "ttft", "tpot": "tpot", "itl": "itl", "e2e": "e2el"}
QUANTILES = {"mean": "mean", "p50": "median", "p90": "p90", "p95": "p95", "p99": "p99", "std": "std"}


def ladder(report: Report, requests: int | None, gpus: int) -> dict[str, float | None]:
    """What the record of a load generator must hold, by Python."""
    of = {k: finite(v) for k, v in report.items()}
    seconds, out, done = of.get("duration"), of.get("total_output_tokens"), of.get("completed")
    asked = of.get("num_prompts") if of.get("num_prompts") is not None else requests
    failed = of.get("failed")
    if failed is None and asked is not None and done is not None and asked >= done:
        failed = asked - done
    rate = of.get("output_throughput")
    if rate is None and out is not None and seconds:
        rate = out / seconds if seconds > 0 else None
    found = {
        "completed": done,
        "failed": failed,
        "duration_s": seconds,
        "output_tokens": out,
        "output_tokens_per_s": rate,
    }
    found["output_tokens_per_s_per_gpu"] = None if rate is None or gpus == 0 else rate / gpus
    for ours, theirs in TIMES.items():
        for quantile, name in QUANTILES.items():
            found[f"{ours}_ms_{quantile}"] = of.get(f"{name}_{theirs}_ms")
    return found


def ladder_reason(found: Mapping[str, float | None], bound: float) -> bool:
    """Whether such a record counts."""
    if not found["output_tokens"] or found["output_tokens"] <= 0:
        return False
    if found["completed"] is not None and found["completed"] <= 0:
        return False
    total = (found["completed"] or 0) + (found["failed"] or 0)
    return not (total > 0 and (found["failed"] or 0) > bound * total)
