"""Simulated ``lm_eval``: the evaluation harness against the served model.

In: its argv. Out: a few requests really sent to ``base_url`` of ``--model_args``, and below ``--output_path`` a report as
the real one (0.4.13) leaves it, in a folder named after the model.
"""

import json
from datetime import datetime, timezone

from srtplan.rehearsal.simulated.clients import EVALUATED, start, verdict, write
from srtplan.rehearsal.simulated.flags import Flags
from srtplan.rehearsal.simulated.load import Load, drive
from srtplan.rehearsal.simulated.program import Program


async def evaluate(program: Program, flags: Flags) -> int:
    """Be ``lm_eval``."""
    await start(program)
    args = dict(pair.partition("=")[::2] for pair in flags.text("model-args").split(","))
    model = args.get("model", "")
    count = min(EVALUATED, flags.number("limit", default=EVALUATED))
    run = await drive(program, Load(args["base_url"], model, 64, 16, count, count, is_streamed=False))
    if run.good:
        tasks = {
            task: {
                "alias": task,
                "sample_len": count,
                "exact_match,none": 0.5,
                "exact_match_stderr,none": 0.25,
            }
            for task in flags.text("tasks").split(",")
        }
        now = f"{datetime.now(tz=timezone.utc):%Y-%m-%dT%H-%M-%S.%f}"
        path = f"{flags.text('output-path')}/{model.replace('/', '__')}/results_{now}.json"
        report = {
            "results": tasks,
            "higher_is_better": {task: {"exact_match": True} for task in tasks},
            "n-samples": {task: {"original": EVALUATED, "effective": count} for task in tasks},
            "model_name": model,
            "total_evaluation_time_seconds": str(run.seconds),
        }
        write(program, path, json.dumps(report))
    return verdict(program, run)
