"""Simulated ``aiperf profile``.

In: its argv. Out: requests really sent (``load.py``), and ``profile_export_aiperf.json`` and ``.csv`` with aiperf's names,
units and statistics (0.13).
"""

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from srtplan.rehearsal.simulated.clients import COMPLETIONS, start, verdict, write
from srtplan.rehearsal.simulated.flags import Flags
from srtplan.rehearsal.simulated.load import Load, Result, Run, deviation, drive, mean, percentile
from srtplan.rehearsal.simulated.program import Program
from srtplan.rehearsal.simulated.webserver import Json
from srtplan.rehearsal.simulated.writing import is_own


async def bench_aiperf(program: Program, flags: Flags) -> int:
    """Be ``aiperf profile``."""
    await start(program)
    base = flags.text("u", "url", default="http://localhost:8000")
    base = (base if "://" in base else f"http://{base}").rstrip("/")
    kind = flags.text("endpoint-type", default="chat")
    path = flags.text(
        "endpoint", "custom-endpoint", default="/v1/chat/completions" if kind == "chat" else COMPLETIONS
    )
    model = flags.text("m", "model", "model-names")
    width = flags.number("concurrency", default=1)
    load = Load(
        f"{base}/{path.lstrip('/')}", model,
        flags.number("isl", "synthetic-input-tokens-mean", "prompt-input-tokens-mean", default=550),
        flags.number("osl", "output-tokens-mean", "prompt-output-tokens-mean", default=64),
        flags.number("request-count", "num-requests", default=_lines(program, flags.text("input-file"))),
        width, is_streamed=flags.has("streaming"),
    )  # fmt: skip
    warmups = flags.number("warmup-request-count", "num-warmup-requests", default=0)
    if warmups:
        await drive(program, Load(load.url, model, load.input_tokens, load.output_tokens, warmups, width))
    run = await drive(program, load)
    if run.good:  # else the real one leaves no report
        folder = Path(flags.text("artifact-dir", "output-artifact-dir", default="artifacts"))
        whole = report(run) | _goodput(run, flags.text("goodput"))
        write(program, str(folder / "profile_export_aiperf.json"), json.dumps(whole, indent=2))
        _write_csv(program, folder / "profile_export_aiperf.csv", whole)
    return verdict(program, run)


def report(run: Run) -> dict[str, Json]:
    """Return what aiperf writes of a run some of whose requests succeeded."""
    return {
        "schema_version": "1.4",
        "aiperf_version": "0.13.0",
        **_aiperf_metrics(run),
        **_failures(run),
        "was_cancelled": False,
        "is_complete": True,
    }


def _lines(program: Program, trace: str) -> int:
    """Return the number of requests in a trace; aiperf's default without one."""
    if not trace:
        return 10
    return sum(
        bool(line.strip()) for line in program.naming.path(trace).read_text(encoding="utf-8").splitlines()
    )


def _aiperf_metrics(run: Run) -> dict[str, Json]:
    """Return the metrics in aiperf's names, units and statistics."""
    good, seconds = run.good, run.seconds
    received = float(sum(r.output_tokens for r in good))
    plain = {
        "request_throughput": ("requests/sec", len(good) / seconds), "request_count": ("requests", float(len(good))),
        "output_token_throughput": ("tokens/sec", received / seconds), "total_output_tokens": ("tokens", received),
        "benchmark_duration": ("sec", seconds), "total_isl": ("tokens", float(sum(r.input_tokens for r in good))),
        "total_osl": ("tokens", received),
    }  # fmt: skip
    spread = {
        "request_latency": ("ms", [r.latency * 1000 for r in good]),
        "time_to_first_token": ("ms", [r.ttft * 1000 for r in good]),
        "inter_token_latency": ("ms", [r.tpot * 1000 for r in good]),
        "output_token_throughput_per_user": ("tokens/sec/user", [1 / r.tpot for r in good if r.tpot]),
        "output_sequence_length": ("tokens", [float(r.output_tokens) for r in good]),
        "input_sequence_length": ("tokens", [float(r.input_tokens) for r in good]),
        "output_token_count": ("tokens", [float(r.output_tokens) for r in good]),
        "inter_chunk_latency": ("ms", [gap * 1000 for r in good for gap in r.gaps]),
    }  # fmt: skip
    found: dict[str, Json] = {name: {"unit": unit, "avg": value} for name, (unit, value) in plain.items()}
    return found | {name: _statistics(unit, values) for name, (unit, values) in spread.items() if values}


def _failures(run: Run) -> dict[str, Json]:
    """Return how many requests ended and failed; the count of failures stands there only if there are some."""
    errors = Counter(result.error for result in run.results if result.error)
    failed, ended = sum(errors.values()), len(run.results)
    found: dict[str, Json] = {
        "completed_request_count": {"unit": "requests", "avg": float(ended)},
        "request_error_rate": {"unit": "%", "avg": 100 * failed / ended},
        "error_summary": [
            {"error_details": {"code": None, "type": "Error", "message": text}, "count": count}
            for text, count in errors.items()
        ],
    }
    return found | ({"error_request_count": {"unit": "requests", "avg": float(failed)}} if failed else {})


GOODPUT: dict[str, Callable[[Result], float]] = {
    "time_to_first_token": lambda r: r.ttft * 1000,
    "inter_token_latency": lambda r: r.tpot * 1000,
    "request_latency": lambda r: r.latency * 1000,
}  # in milliseconds


def _goodput(run: Run, bounds: str) -> dict[str, Json]:
    """Return how many requests came within all bounds, ``METRIC:MILLISECONDS ...``; nothing if there are none."""
    if not bounds:
        return {}
    limits = [(GOODPUT[name], float(limit)) for name, _, limit in (b.partition(":") for b in bounds.split())]
    good = sum(all(of(r) <= limit for of, limit in limits) for r in run.good)
    return {
        "goodput": {"unit": "requests/sec", "avg": good / run.seconds},
        "good_request_count": {"unit": "requests", "avg": float(good)},
    }


def _statistics(unit: str, values: list[float]) -> Json:
    found: dict[str, Json] = {"unit": unit, "avg": mean(values)}
    found |= {f"p{p}": percentile(values, p) for p in (1, 5, 10, 25, 50, 75, 90, 95, 99)}
    return found | {
        "min": min(values),
        "max": max(values),
        "std": deviation(values),
        "count": len(values),
        "sum": sum(values),
    }


def _write_csv(program: Program, path: Path, metrics: dict[str, Json]) -> None:
    if not is_own(path, program.state, program.environment):
        return
    target = program.naming.path(str(path))
    with target.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["Metric", "avg"])
        rows.writerows([name, value["avg"]] for name, value in metrics.items() if isinstance(value, dict))
