"""Simulated ``vllm bench serve``, and TensorRT-LLM's ``benchmark_serving``, which has the same options and file.

In: the client's argv. Out: requests really sent, and with ``--save-result`` a JSON file.
"""

import json
from datetime import datetime, timezone

from srtplan.rehearsal.simulation import clients as _clients
from srtplan.rehearsal.simulation.flags import Flags
from srtplan.rehearsal.simulation.http import Json
from srtplan.rehearsal.simulation.load import Load, drive
from srtplan.rehearsal.simulation.program import Program

COMMANDS = ("vllm", "vllm.benchmarks.serve", "tensorrt_llm.serve.scripts.benchmark_serving")


def main(program: Program, flags: Flags) -> int:
    """Send a first request and the load, and save the report."""
    program.load()
    url, model = _clients.target(program, flags, 8000)
    shape = (flags.number("random-input-len", default=1024), flags.number("random-output-len", default=128))
    if not (first := drive(program, Load(url, model, *shape, 1, 1))).good:
        return _clients.verdict(program, first)
    prompts, width = flags.number("num-prompts", default=1000), flags.number("max-concurrency", default=0)
    run = drive(program, Load(url, model, *shape, prompts, width))
    tokens = sum(r.input_tokens + r.output_tokens for r in run.good)
    record: dict[str, Json] = {
        "date": f"{datetime.now(tz=timezone.utc):%Y%m%d-%H%M%S}", "backend": flags.text("backend", default="openai"),
        "model_id": model, "tokenizer_id": flags.text("tokenizer", default=model), "num_prompts": len(run.results),
        "request_rate": flags.text("request-rate", default="inf"), "max_concurrency": width or None,
        "failed": len(run.results) - len(run.good), "total_token_throughput": tokens / run.seconds,
    }  # fmt: skip
    record |= _clients.totals(run) | _clients.times(run, "e2el")
    if flags.has("save-result"):
        name = flags.text("result-filename", default=f"openai-{record['date']}.json")
        program.write(f"{flags.text('result-dir', default='.')}/{name}", json.dumps(record).encode())
    return _clients.verdict(program, run)
