"""Simulated benchmark clients: ``sglang.bench_serving``, ``vllm bench serve`` and TensorRT-LLM's, aiperf, run_eval.

In: the client's argv. Out: requests really sent (``load.py``), a result file in the client's own format, and exit
code 1 if all requests failed.
"""

import asyncio
import csv
import json
from datetime import datetime, timezone
from pathlib import Path

from srtplan.rehearsal.simulated import webclient
from srtplan.rehearsal.simulated.flags import Flags
from srtplan.rehearsal.simulated.load import Load, Run, deviation, drive, mean, percentile
from srtplan.rehearsal.simulated.program import Program
from srtplan.rehearsal.simulated.webserver import Json

PATHS = {
    "sglang": "/generate",
    "sglang-native": "/generate",
    "sglang-oai-chat": "/v1/chat/completions",
    "openai-chat": "/v1/chat/completions",
}
COMPLETIONS = "/v1/completions"
EVALUATED = 4


def _base(flags: Flags, port: int) -> str:
    url = (
        flags.text("base-url")
        or f"http://{flags.text('host', default='127.0.0.1')}:{flags.text('port', default=str(port))}"
    )
    return url.rstrip("/")


async def _start(program: Program) -> None:
    """Play the faults that a client can have: slow and hang."""
    await program.load([])


def _write(program: Program, path: str, text: str, *, is_appended: bool = False) -> None:
    target = program.naming.path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("a" if is_appended else "w", encoding="utf-8") as file:
        file.write(text)
    program.say(f"result written to {path}")


def _milliseconds(name: str, values: list[float]) -> dict[str, Json]:
    """Return mean, median, standard deviation and percentiles of times in seconds, as the clients name them."""
    scaled = [value * 1000 for value in values]
    found: dict[str, Json] = {f"mean_{name}_ms": mean(scaled), f"median_{name}_ms": percentile(scaled, 50)}
    found[f"std_{name}_ms"] = deviation(scaled)
    return found | {f"p{p}_{name}_ms": percentile(scaled, p) for p in (90, 95, 99)}


def _times(run: Run, e2e: str) -> dict[str, Json]:
    good = run.good
    return (
        _milliseconds("ttft", [r.ttft for r in good])
        | _milliseconds("tpot", [r.tpot for r in good])
        | _milliseconds("itl", [gap for r in good for gap in r.gaps])
        | _milliseconds(e2e, [r.latency for r in good])
    )


def _totals(run: Run) -> dict[str, Json]:
    """Return the counts and rates that all clients report."""
    sent, received = sum(r.input_tokens for r in run.good), sum(r.output_tokens for r in run.good)
    return {
        "duration": run.seconds, "completed": len(run.good), "total_input_tokens": sent, "total_output_tokens": received,
        "request_throughput": len(run.good) / run.seconds, "output_throughput": received / run.seconds,
    }  # fmt: skip


def _verdict(program: Program, run: Run) -> int:
    """Print the table's heart and return the exit code."""
    totals = _totals(run)
    program.say("============ Serving Benchmark Result ============")
    for key, value in totals.items():
        program.say(f"{key:<24}{value:>12.2f}" if isinstance(value, float) else f"{key:<24}{value!s:>12}")
    errors = {result.error for result in run.results if result.error}
    for error in sorted(errors)[:3]:
        program.say(f"ERROR {error}")
    return 0 if run.good else 1


async def bench_sglang(program: Program, flags: Flags) -> int:
    """Be ``python3 -m sglang.bench_serving``."""
    await _start(program)
    backend, base = flags.text("backend", default="sglang"), _base(flags, 30000)
    model = flags.text("served-model-name", "model") or await webclient.first_model(program.naming, base)
    width = flags.number("max-concurrency", default=0)
    shape = (
        flags.number("random-input-len", "random-input", default=1024),
        flags.number("random-output-len", "random-output", default=1024),
    )
    load = Load(
        base + PATHS.get(backend, COMPLETIONS),
        model,
        *shape,
        flags.number("num-prompts", default=1000),
        width,
    )
    warmups = flags.number("warmup-requests", default=1)
    if warmups and not (await drive(program, Load(load.url, model, *shape, warmups, warmups))).good:
        program.say(
            "ValueError: Warmup failed - Please make sure benchmark arguments are correctly specified."
        )
        return 1
    run = await drive(program, load)
    record: dict[str, Json] = {
        "backend": backend, "dataset_name": flags.text("dataset-name", default="sharegpt"),
        "request_rate": flags.text("request-rate", default="inf"), "max_concurrency": width or None,
        "random_input_len": shape[0], "random_output_len": shape[1],
        "random_range_ratio": float(flags.text("random-range-ratio", default="0")),
        "total_output_tokens_retokenized": sum(r.output_tokens for r in run.good),
        "input_throughput": sum(r.input_tokens for r in run.good) / run.seconds,
        "concurrency": sum(r.latency for r in run.good) / run.seconds, "accept_length": None,
    }  # fmt: skip
    default = f"{backend}_{datetime.now(tz=timezone.utc):%m%d}_{load.requests}_{record['dataset_name']}.jsonl"
    line = json.dumps(record | _totals(run) | _times(run, "e2e_latency"))
    _write(program, flags.text("output-file", default=default), f"{line}\n", is_appended=True)
    return _verdict(program, run)


async def bench_vllm(program: Program, flags: Flags) -> int:
    """Be ``vllm bench serve``, or TensorRT-LLM's ``benchmark_serving``, which has the same options and file."""
    await _start(program)
    backend, base = flags.text("backend", "endpoint-type", default="openai"), _base(flags, 8000)
    model = flags.text("served-model-name", "model") or await webclient.first_model(program.naming, base)
    width = flags.number("max-concurrency", default=0)
    shape = (flags.number("random-input-len", default=1024), flags.number("random-output-len", default=128))
    url = base + flags.text("endpoint", default=PATHS.get(backend, COMPLETIONS))
    if not (await drive(program, Load(url, model, *shape, 1, 1))).good:
        program.say(
            "ValueError: Initial test run failed - Please make sure benchmark arguments are correctly specified."
        )
        return 1
    run = await drive(program, Load(url, model, *shape, flags.number("num-prompts", default=1000), width))
    if flags.has("save-result"):
        _save_vllm(
            program, flags, run, {"backend": backend, "model_id": model, "max_concurrency": width or None}
        )
    return _verdict(program, run)


def _save_vllm(program: Program, flags: Flags, run: Run, record: dict[str, Json]) -> None:
    """Write the result file of ``--save-result``; the arrays only with ``--save-detailed``, as the client does."""
    now = datetime.now(tz=timezone.utc)
    totals = _totals(run)
    record |= {
        "date": f"{now:%Y%m%d-%H%M%S}", "tokenizer_id": flags.text("tokenizer", default=str(record["model_id"])),
        "num_prompts": len(run.results), "request_rate": flags.text("request-rate", default="inf"), "burstiness": 1.0,
        "best_of": 1, "request_goodput": None, "failed": len(run.results) - len(run.good),
        "total_token_throughput": (sum(r.input_tokens + r.output_tokens for r in run.good)) / run.seconds,
    }  # fmt: skip
    details: dict[str, Json] = {
        "input_lens": [r.input_tokens for r in run.results], "output_lens": [r.output_tokens for r in run.results],
        "ttfts": [r.ttft for r in run.results], "itls": [list(r.gaps) for r in run.results],
        "generated_texts": [r.text for r in run.results], "errors": [r.error for r in run.results],
    }  # fmt: skip
    name = flags.text("result-filename", default=f"{record['backend']}-{record['date']}.json")
    path = str(Path(flags.text("result-dir", default=".")) / name)
    whole = record | totals | _times(run, "e2el") | (details if flags.has("save-detailed") else {})
    _write(program, path, json.dumps(whole))


async def bench_aiperf(program: Program, flags: Flags) -> int:
    """Be ``aiperf profile``."""
    await _start(program)
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
        flags.number("request-count", "num-requests", default=10), width, is_streamed=flags.has("streaming"),
    )  # fmt: skip
    warmups = flags.number("warmup-request-count", "num-warmup-requests", default=0)
    if warmups:
        await drive(program, Load(load.url, model, load.input_tokens, load.output_tokens, warmups, width))
    run = await drive(program, load)
    folder = Path(flags.text("artifact-dir", "output-artifact-dir", default="artifacts"))
    metrics = _aiperf_metrics(run)
    whole = {
        "schema_version": "1.4",
        "aiperf_version": "0.13.0",
        **metrics,
        "was_cancelled": False,
        "is_complete": True,
        "error_summary": [],
    }
    _write(program, str(folder / "profile_export_aiperf.json"), json.dumps(whole, indent=2))
    _write_csv(program, folder / "profile_export_aiperf.csv", metrics)
    return _verdict(program, run)


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
    target = program.naming.path(str(path))
    with target.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["Metric", "avg"])
        rows.writerows([name, value["avg"]] for name, value in metrics.items() if isinstance(value, dict))


async def run_eval(program: Program, flags: Flags) -> int:
    """Be ``python3 -m sglang.test.run_eval``: a few chat requests and a score file in /tmp."""
    await _start(program)
    base = _base(flags, 30000)
    model = flags.text("model") or await webclient.first_model(program.naming, base)
    name = flags.text("eval-name", default="mmlu")
    count = min(EVALUATED, flags.number("num-examples", default=EVALUATED))
    run = await drive(
        program, Load(f"{base}/v1/chat/completions", model, 64, 16, count, count, is_streamed=False)
    )
    if run.good:
        score = json.dumps({"score": 1.0, "score:std": 0.0, "latency": run.seconds, "output_throughput": 0.0})
        _write(program, f"/tmp/{name}_{model.replace('/', '_')}.json", score)  # noqa: S108 (where the real one writes)
    await asyncio.sleep(0)
    return _verdict(program, run)
