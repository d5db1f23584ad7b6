"""Simulated ``aiperf profile``.

In: its argv. Out: requests really sent, and ``profile_export_aiperf.json`` and ``.csv`` with aiperf's names, units
and statistics (0.13).
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from srtplan.rehearsal.simulation import clients as _clients
from srtplan.rehearsal.simulation.completions import CHAT, COMPLETIONS
from srtplan.rehearsal.simulation.flags import Flags
from srtplan.rehearsal.simulation.http import Json
from srtplan.rehearsal.simulation.load import Load, Result, Run, deviation, drive, mean, percentile
from srtplan.rehearsal.simulation.program import Program

COMMANDS = ("aiperf",)
TIMES: dict[str, Callable[[Result], float]] = {
    "time_to_first_token": lambda r: r.ttft * 1000,
    "inter_token_latency": lambda r: r.tpot * 1000,
    "request_latency": lambda r: r.latency * 1000,
}
"""In milliseconds; ``--goodput`` bounds them."""


def main(program: Program, flags: Flags) -> int:
    """Send warm-up and load, and write both reports; like the real one, neither if all requests failed."""
    program.load()
    load = _load(program, flags)
    if warmups := flags.number("warmup-request-count", "num-warmup-requests", default=0):
        drive(program, replace(load, requests=warmups))
    run = drive(program, load)
    if run.good:
        base = (
            flags.text("artifact-dir", "output-artifact-dir", default="artifacts") + "/profile_export_aiperf"
        )
        whole = report(run) | _goodput(run, flags.text("goodput"))
        program.write(f"{base}.json", json.dumps(whole, indent=2).encode())
        rows = [f"{name},{value['avg']}" for name, value in whole.items() if isinstance(value, dict)]
        program.write(f"{base}.csv", "\n".join(["Metric,avg", *rows, ""]).encode())
    return _clients.verdict(program, run)


def _load(program: Program, flags: Flags) -> Load:
    """Return the load of the command line; without a count it has the requests of the trace, else aiperf's 10."""
    base = flags.text("u", "url", default="http://localhost:8000")
    base = (base if "://" in base else f"http://{base}").rstrip("/")
    default = CHAT if flags.text("endpoint-type", default="chat") == "chat" else COMPLETIONS
    trace = flags.text("input-file")
    return Load(
        f"{base}/{flags.text('endpoint', 'custom-endpoint', default=default).lstrip('/')}",
        flags.text("m", "model", "model-names"),
        flags.number("isl", "synthetic-input-tokens-mean", "prompt-input-tokens-mean", default=550),
        flags.number("osl", "output-tokens-mean", "prompt-output-tokens-mean", default=64),
        flags.number("request-count", "num-requests", default=_clients.lines(program, trace) if trace else 10),
        flags.number("concurrency", default=1), is_streamed=flags.has("streaming"),
    )  # fmt: skip


def report(run: Run) -> dict[str, Json]:
    """Return what aiperf writes of a run some of whose requests succeeded."""
    versions: dict[str, Json] = {"schema_version": "1.4", "aiperf_version": "0.13.0"}
    return versions | _metrics(run) | _failures(run) | {"was_cancelled": False, "is_complete": True}


def _average(unit: str, value: float) -> Json:
    return {"unit": unit, "avg": value}


def _metrics(run: Run) -> dict[str, Json]:
    """Return the metrics in aiperf's names, units and statistics."""
    good, seconds = run.good, run.seconds
    received, sent = float(sum(r.output_tokens for r in good)), float(sum(r.input_tokens for r in good))
    spread = {name: ("ms", [of(r) for r in good]) for name, of in TIMES.items()} | {
        "output_token_throughput_per_user": ("tokens/sec/user", [1 / r.tpot for r in good if r.tpot]),
        "output_sequence_length": ("tokens", [float(r.output_tokens) for r in good]),
        "input_sequence_length": ("tokens", [float(r.input_tokens) for r in good]),
        "inter_chunk_latency": ("ms", [gap * 1000 for r in good for gap in r.gaps]),
    }
    return {
        "request_throughput": _average("requests/sec", len(good) / seconds),
        "request_count": _average("requests", float(len(good))),
        "output_token_throughput": _average("tokens/sec", received / seconds),
        "total_output_tokens": _average("tokens", received), "total_osl": _average("tokens", received),
        "total_isl": _average("tokens", sent), "benchmark_duration": _average("sec", seconds),
        **{name: _statistics(unit, values) for name, (unit, values) in spread.items() if values},
    }  # fmt: skip


def _statistics(unit: str, values: list[float]) -> Json:
    found: dict[str, Json] = {"unit": unit, "avg": mean(values), "min": min(values), "max": max(values)}
    found |= {f"p{p}": percentile(values, p) for p in (1, 5, 10, 25, 50, 75, 90, 95, 99)}
    return found | {"std": deviation(values), "count": len(values), "sum": sum(values)}


def _failures(run: Run) -> dict[str, Json]:
    """Return how many requests ended and failed; the count of failures stands there only if there are some."""
    errors = Counter(result.error for result in run.results if result.error)
    failed, ended = sum(errors.values()), len(run.results)
    summary: list[Json] = [
        {"error_details": {"code": None, "type": "Error", "message": text}, "count": count}
        for text, count in errors.items()
    ]
    found: dict[str, Json] = {
        "completed_request_count": _average("requests", float(ended)), "error_summary": summary,
        "request_error_rate": _average("%", 100 * failed / ended),
    }  # fmt: skip
    return found | ({"error_request_count": _average("requests", float(failed))} if failed else {})


def _goodput(run: Run, bounds: str) -> dict[str, Json]:
    """Return how many requests came within all bounds, ``METRIC:MILLISECONDS ...``; nothing if there are none."""
    if not bounds:
        return {}
    limits = [(TIMES[name], float(limit)) for name, _, limit in (b.partition(":") for b in bounds.split())]
    good = sum(all(of(r) <= limit for of, limit in limits) for r in run.good)
    rate, count = _average("requests/sec", good / run.seconds), _average("requests", float(good))
    return {"goodput": rate, "good_request_count": count}
