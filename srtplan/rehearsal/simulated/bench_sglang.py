"""Simulated ``python3 -m sglang.bench_serving``.

In: its argv. Out: requests really sent, and a line of JSON appended to ``--output-file``.
"""

import json

from srtplan.rehearsal.simulation import clients as _clients
from srtplan.rehearsal.simulation.flags import Flags
from srtplan.rehearsal.simulation.http import Json
from srtplan.rehearsal.simulation.load import Load, drive
from srtplan.rehearsal.simulation.program import Program

COMMANDS = ("sglang.bench_serving",)


def main(program: Program, flags: Flags) -> int:
    """Send warm-up and load, and append the report; lengths only with ``--output-details``."""
    program.load()
    url, model = _clients.target(program, flags, 30000)
    sent = flags.number("random-input-len", "random-input", default=1024)
    received = flags.number("random-output-len", "random-output", default=1024)
    prompts, width = flags.number("num-prompts", default=1000), flags.number("max-concurrency", default=0)
    if flags.text("dataset-name") == "custom":  # no more than there are
        prompts = min(prompts, _clients.lines(program, flags.text("dataset-path")))
    warmups = flags.number("warmup-requests", default=1)
    if warmups and not (warmup := drive(program, Load(url, model, sent, received, warmups, warmups))).good:
        return _clients.verdict(program, warmup)
    run = drive(program, Load(url, model, sent, received, prompts, width))
    record: dict[str, Json] = {
        "backend": flags.text("backend", default="sglang"), "request_rate": flags.text("request-rate", default="inf"),
        "dataset_name": flags.text("dataset-name", default="sharegpt"), "max_concurrency": width or None,
        "random_input_len": sent, "random_output_len": received,
        "concurrency": sum(r.latency for r in run.good) / run.seconds,
    }  # fmt: skip
    if flags.has("output-details"):
        record["input_lens"] = [r.input_tokens for r in run.results]
    record |= _clients.totals(run) | _clients.times(run, "e2e_latency")
    path = flags.text("output-file", default="sglang_bench_serving.jsonl")
    program.write(path, f"{json.dumps(record)}\n".encode(), "ab")
    return _clients.verdict(program, run)
