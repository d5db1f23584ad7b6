"""Simulated ``lm_eval``: the evaluation harness against the served model.

In: its argv. Out: a few requests really sent to ``base_url`` of ``--model_args``, and below ``--output_path`` a report as
the real one (0.4.13) leaves it, in a folder named after the model.
"""

import json
from datetime import datetime, timezone

from srtplan.rehearsal.simulation import clients as _clients
from srtplan.rehearsal.simulation.flags import Flags
from srtplan.rehearsal.simulation.program import Program

COMMANDS = ("lm_eval",)


def main(program: Program, flags: Flags) -> int:
    """Ask a few questions and report the same score for every task."""
    program.load()
    args = dict(pair.partition("=")[::2] for pair in flags.text("model-args").split(","))
    model, tasks = args.get("model", ""), flags.text("tasks").split(",")
    run = _clients.evaluate(
        program, args["base_url"], model, flags.number("limit", default=_clients.EVALUATED)
    )
    if run.good:
        scores = {"sample_len": len(run.results), "exact_match,none": 0.5, "exact_match_stderr,none": 0.25}
        samples = {"original": _clients.EVALUATED, "effective": len(run.results)}
        report = {
            "results": {task: {"alias": task} | scores for task in tasks},
            "higher_is_better": {task: {"exact_match": True} for task in tasks},
            "n-samples": dict.fromkeys(tasks, samples),
            "model_name": model, "total_evaluation_time_seconds": str(run.seconds),
        }  # fmt: skip
        now = f"{datetime.now(tz=timezone.utc):%Y-%m-%dT%H-%M-%S.%f}"
        path = f"{flags.text('output-path')}/{model.replace('/', '__')}/results_{now}.json"
        program.write(path, json.dumps(report).encode())
    return _clients.verdict(program, run)
