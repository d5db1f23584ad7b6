"""Simulated benchmark clients: ``sglang.bench_serving``, ``vllm bench serve`` and TensorRT-LLM's, run_eval.

In: the client's argv. Out: requests really sent (``load.py``), a result file in the client's own format, and exit
code 1 if all requests failed.
"""

import asyncio
import json
from datetime import datetime, timezone
from pathlib import Path

from srtplan.rehearsal.simulated import webclient
from srtplan.rehearsal.simulated.flags import Flags
from srtplan.rehearsal.simulated.load import Load, Run, deviation, drive, mean, percentile
from srtplan.rehearsal.simulated.program import Program
from srtplan.rehearsal.simulated.webserver import Json
from srtplan.rehearsal.simulated.writing import is_own

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


async def start(program: Program) -> None:
    """Play the faults that a client can have: slow and hang."""
    await program.load([])


def write(program: Program, path: str, text: str, *, is_appended: bool = False) -> None:
    """Write or append to a file that the command line names, if it is the rehearsal's own."""
    if not is_own(path, program.state, program.environment):
        program.say(f"{path} is not written, as it is outside of the run directory")
        return
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


def verdict(program: Program, run: Run) -> int:
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
    await start(program)
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
        _prompts(program, flags),
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
    if flags.has("output-details"):
        record["input_lens"] = [r.input_tokens for r in run.results]
    default = f"{backend}_{datetime.now(tz=timezone.utc):%m%d}_{load.requests}_{record['dataset_name']}.jsonl"
    line = json.dumps(record | _totals(run) | _times(run, "e2e_latency"))
    write(program, flags.text("output-file", default=default), f"{line}\n", is_appended=True)
    return verdict(program, run)


def _prompts(program: Program, flags: Flags) -> int:
    """Return how many prompts are sent: no more than a data set of one's own has lines."""
    asked = flags.number("num-prompts", default=1000)
    if flags.text("dataset-name") != "custom":
        return asked
    rows = program.naming.path(flags.text("dataset-path")).read_text(encoding="utf-8").splitlines()
    return min(asked, sum(bool(row.strip()) for row in rows))


async def bench_vllm(program: Program, flags: Flags) -> int:
    """Be ``vllm bench serve``, or TensorRT-LLM's ``benchmark_serving``, which has the same options and file."""
    await start(program)
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
    return verdict(program, run)


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
    write(program, path, json.dumps(whole))


async def run_eval(program: Program, flags: Flags) -> int:
    """Be ``python3 -m sglang.test.run_eval``: a few chat requests and a score file, which ``bench::evaluate`` looks for.

    The real one writes into /tmp, which is not the rehearsal's: the file goes below ``run/tmp`` of the run directory.
    """
    await start(program)
    base = _base(flags, 30000)
    model = flags.text("model") or await webclient.first_model(program.naming, base)
    name = flags.text("eval-name", default="mmlu")
    count = min(EVALUATED, flags.number("num-examples", default=EVALUATED))
    run = await drive(
        program, Load(f"{base}/v1/chat/completions", model, 64, 16, count, count, is_streamed=False)
    )
    if run.good:
        rate = sum(r.output_tokens for r in run.good) / run.seconds
        report = {"score:std": 0.0, "score": 1.0, "latency": run.seconds, "output_throughput": rate}
        score = json.dumps({k: v for k, v in report.items() if v or k != "output_throughput"})
        run_dir = program.environment.get("SRT_RUN_DIR", "")
        folder = f"{run_dir}/run/tmp" if run_dir else "/tmp"  # noqa: S108 (where the real one writes)
        write(program, f"{folder}/{name}_{model.replace('/', '_')}.json", score)
    await asyncio.sleep(0)
    return verdict(program, run)
