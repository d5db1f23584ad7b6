"""Run record.awk from Python, and compute the expected record of a report in Python alone.

``figures(report, "vllm")`` returns every figure of the record, None if unknown; ``counts(...)`` returns the verdict. Both
have their own tables of the clients' keys, so that a key that record.awk reads incorrectly shows up as a difference.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

LIB = Path(__file__).resolve().parents[2] / "templates" / "lib"
SAMPLES = Path(__file__).parent / "samples"
AWKS = [a for a in ("mawk", "gawk", "original-awk") if shutil.which(a)] + (
    ["busybox awk"] if shutil.which("busybox") else []
)
Report = Mapping[str, Any]
Figures = dict[str, float | None]


def run(
    report: bytes, client: str, *, awk: str = "awk", facts: Report | None = None, gpus: int = 8, decode: int = 4,
    bound: str = "0.05", reason: str = "", bundle: Path = LIB.parent,
) -> tuple[str, dict[str, Any]]:  # fmt: skip
    """Run record.awk on a report; returns the verdict line and the record, parsed as strict JSON."""
    env = {
        "RECORD_NAME": "concurrency_4", "RECORD_CLIENT": client, "RECORD_RESULT": "results/r.json", "RECORD_REASON": reason,
        "RECORD_FACTS": json.dumps(facts or {"concurrency": 4}, separators=(",", ":"))[1:-1], "RECORD_CODE": "0",
        "RECORD_TRIES": "1", "RECORD_BEGAN": "1700000000", "RECORD_SECONDS": "7", "RECORD_GPUS": str(gpus),
        "RECORD_DECODE_GPUS": str(decode), "RECORD_MAX_FAILED_SHARE": bound, "LC_ALL": "C",
    }  # fmt: skip
    command = [*awk.split(), "-f", LIB / "json.awk", "-f", LIB / "record.awk", "-f", reader(client, bundle)]
    done = subprocess.run(command, input=report, capture_output=True, check=True, env=os.environ | env)
    assert done.stderr == b""
    verdict, record = done.stdout.decode(errors="surrogateescape").rstrip("\n").split("\n")
    return verdict, json.loads(record, parse_constant=_refuse)


@cache
def reader(client: str, bundle: Path = LIB.parent) -> str:
    """The awk file that the library chooses for a client."""
    script = (
        f"source '{LIB}/results.sh'; BUNDLE_DIR='{bundle}'; results::_reader \"$1\"; printf '%s' \"$REPLY\""
    )
    return subprocess.run(
        ["bash", "-c", script, "_", client], capture_output=True, text=True, check=True
    ).stdout


def _refuse(name: str) -> Any:
    raise AssertionError(f"{name} is not valid JSON")


def text(report: Report) -> bytes:
    """A report as a Python client writes it, possibly with NaN and Infinity, which JSON does not allow."""
    return json.dumps(report).encode()


def finite(value: object) -> float | None:
    """A finite number as float; None for any other value."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else None  # type: ignore[arg-type]


TIMES = ("ttft", "tpot", "itl", "e2e")
QUANTILES = ("mean", "p50", "p90", "p95", "p99", "std")
PLAIN = (
    *("completed", "failed", "duration_s", "input_tokens", "output_tokens", "requests_per_s", "good_requests_per_s"),
    *("input_tokens_per_s", "output_tokens_per_s", "total_tokens_per_s", "accept_length", "score"),
)  # fmt: skip
DERIVED = (
    *("output_tokens_per_s_per_gpu", "total_tokens_per_s_per_gpu", "output_tokens_per_s_per_decode_gpu"),
    "tokens_per_s_per_user",
)
EVERY = (*PLAIN, *DERIVED, *(f"{t}_ms_{q}" for t in TIMES for q in QUANTILES))
"""All figures of a record."""

LADDER = {
    "completed": ("completed",), "failed": ("failed",), "duration_s": ("duration",), "input_tokens": ("total_input_tokens",),
    "output_tokens": ("total_output_tokens",), "requests_per_s": ("request_throughput",),
    "good_requests_per_s": ("request_goodput", "request_goodput:"), "input_tokens_per_s": ("input_throughput",),
    "output_tokens_per_s": ("output_throughput",), "total_tokens_per_s": ("total_token_throughput", "total_throughput"),
    "accept_length": ("accept_length", "spec_decode_acceptance_length"),
}  # fmt: skip
AIPERF = {
    "completed": ("request_count",), "duration_s": ("benchmark_duration",), "input_tokens": ("total_isl",),
    "output_tokens": ("total_osl", "total_output_tokens"), "requests_per_s": ("request_throughput",),
    "good_requests_per_s": ("goodput",), "input_tokens_per_s": ("input_token_throughput",),
    "output_tokens_per_s": ("output_token_throughput",), "total_tokens_per_s": ("total_token_throughput",),
}  # fmt: skip
AIPERF_TIMES = {"ttft": "time_to_first_token", "tpot": "inter_token_latency", "itl": "inter_chunk_latency", "e2e": "request_latency"}  # fmt: skip


def figures(
    report: Report, client: str, *, facts: Report | None = None, gpus: int = 8, decode: int = 4
) -> Figures:
    """All figures that the record of a load generator must have."""
    found = _aiperf(report) if client == "aiperf" else _ladder(report, client, facts or {})
    for name, count in (
        ("requests_per_s", "completed"),
        ("input_tokens_per_s", "input_tokens"),
        ("output_tokens_per_s", "output_tokens"),
    ):
        if found.get(name) is None:
            found[name] = over(found.get(count), found.get("duration_s"))
    sent, received = found["input_tokens_per_s"], found["output_tokens_per_s"]
    if found.get("total_tokens_per_s") is None and sent is not None and received is not None:
        found["total_tokens_per_s"] = sent + received
    found["output_tokens_per_s_per_gpu"] = over(received, gpus)
    found["total_tokens_per_s_per_gpu"] = over(found.get("total_tokens_per_s"), gpus)
    found["output_tokens_per_s_per_decode_gpu"] = over(received, decode)
    found["tokens_per_s_per_user"] = over(1000, found.get("tpot_ms_p50"))
    return {name: found.get(name) for name in EVERY}


def over(what: float | None, parts: float | None) -> float | None:
    """The quotient; None if a value is missing, the divisor is not positive, or the result is infinite."""
    if what is None or parts is None or parts <= 0:
        return None
    return finite(what / parts)


def first(report: Report, names: tuple[str, ...]) -> float | None:
    """The first finite number among these keys."""
    return next((v for n in names if (v := finite(report.get(n))) is not None), None)


def _ladder(report: Report, client: str, facts: Report) -> Figures:
    found = {name: first(report, names) for name, names in LADDER.items()}
    asked = _asked(report, client, facts)
    done = found["completed"]
    if found["failed"] is None and asked is not None and done is not None and asked >= done:
        found["failed"] = asked - done
    middle = report.get("mean_e2e_latency_ms")
    whole = "e2e_latency" if isinstance(middle, int | float) and not isinstance(middle, bool) else "e2el"
    for ours, theirs in {"ttft": "ttft", "tpot": "tpot", "itl": "itl", "e2e": whole}.items():
        for quantile in QUANTILES:
            names = ("median", "p50") if quantile == "p50" else (quantile,)
            found[f"{ours}_ms_{quantile}"] = first(report, tuple(f"{n}_{theirs}_ms" for n in names))
    return found


def _asked(report: Report, client: str, facts: Report) -> float | None:
    if isinstance(report.get("input_lens"), list):
        return len(report["input_lens"])
    if facts.get("dataset") and client != "vllm":
        return None
    said = finite(report.get("num_prompts"))
    return finite(facts.get("requests")) if said is None else said


def _aiperf(report: Report) -> Figures:
    def of(name: str, statistic: str) -> float | None:
        metric = report.get(name)
        return finite(metric.get(statistic)) if isinstance(metric, dict) else None

    found = {
        name: next((v for n in names if (v := of(n, "avg")) is not None), None)
        for name, names in AIPERF.items()
    }
    found["failed"] = of("error_request_count", "avg")
    errors = report.get("error_summary")
    if found["failed"] is None and isinstance(errors, list):
        found["failed"] = sum(e["count"] for e in errors)
    for ours, theirs in AIPERF_TIMES.items():
        for quantile in QUANTILES:
            found[f"{ours}_ms_{quantile}"] = of(theirs, "avg" if quantile == "mean" else quantile)
    return found


def counts(found: Figures, bound: float) -> bool:
    """Whether a load generator's record counts: tokens, requests, few failures, a duration and first tokens."""
    done, failed = found["completed"], found["failed"] or 0
    whole = (done or 0) + failed
    return (
        (found["output_tokens"] or 0) > 0
        and (done or 0) > 0
        and failed >= 0
        and not (whole > 0 and failed > bound * whole)
        and (found["duration_s"] or 0) > 0
        and max(found["ttft_ms_mean"] or 0, found["ttft_ms_p50"] or 0) > 0
    )
