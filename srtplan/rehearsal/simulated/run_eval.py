"""Simulated ``python3 -m sglang.test.run_eval``: a few chat requests and a score file, which ``bench::evaluate`` looks for.

The real one writes into /tmp, which is not the rehearsal's: the file goes below ``run/tmp`` of the run directory.
"""

import json

from srtplan.rehearsal.simulation import clients as _clients
from srtplan.rehearsal.simulation.completions import CHAT, COMPLETIONS
from srtplan.rehearsal.simulation.flags import Flags
from srtplan.rehearsal.simulation.program import Program

COMMANDS = ("sglang.test.run_eval",)


def main(program: Program, flags: Flags) -> int:
    """Ask a few questions; the score is written under the name of evaluation and model."""
    program.load()
    url, model = _clients.target(program, flags, 30000)
    asked = flags.number("num-examples", default=_clients.EVALUATED)
    run = _clients.evaluate(program, url.removesuffix(COMPLETIONS) + CHAT, model, asked)
    if run.good:
        rate = sum(r.output_tokens for r in run.good) / run.seconds
        report = {"score:std": 0.0, "score": 1.0, "latency": run.seconds, "output_throughput": rate}
        name = f"{flags.text('eval-name', default='mmlu')}_{model.replace('/', '_')}"
        run_dir = program.environment.get("SRT_RUN_DIR", "")
        folder = f"{run_dir}/run/tmp" if run_dir else "/tmp"  # noqa: S108 (where the real one writes)
        program.write(f"{folder}/{name}.json", json.dumps(report).encode())
    return _clients.verdict(program, run)
