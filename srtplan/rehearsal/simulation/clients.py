"""What the simulated benchmark clients share: where they send to, the figures of their reports, their verdict.

A client's module names the commands that shell text may call it by in ``COMMANDS``: the programs of a custom benchmark's
text are not in the Plan.
"""

from srtplan.rehearsal.simulation.completions import CHAT, COMPLETIONS
from srtplan.rehearsal.simulation.flags import Flags
from srtplan.rehearsal.simulation.http import Json, first_model
from srtplan.rehearsal.simulation.load import Load, Run, deviation, drive, mean, percentile
from srtplan.rehearsal.simulation.program import Program

EVALUATED = 4
"""How many questions an evaluation asks at most."""


def target(program: Program, flags: Flags, port: int) -> tuple[str, str]:
    """Return URL and model of a request: ``--base-url``, or ``--host`` and ``--port``; the interface of ``--backend``."""
    host = flags.text("host", default="127.0.0.1")
    url = flags.text("base-url") or f"http://{host}:{flags.text('port', default=str(port))}"
    model = flags.text("served-model-name", "model") or first_model(program, url.rstrip("/"))
    path = CHAT if "chat" in flags.text("backend") else COMPLETIONS
    return url.rstrip("/") + flags.text("endpoint", default=path), model


def evaluate(program: Program, url: str, model: str, asked: int) -> Run:
    """Ask a few questions by the chat interface, or by whichever a URL has."""
    count = min(EVALUATED, asked)
    return drive(program, Load(url, model, 64, 16, count, count, is_streamed=False))


def lines(program: Program, path: str) -> int:
    """Return the number of lines of a data set or trace that are not empty."""
    text = program.naming.path(path).read_text(encoding="utf-8")
    return sum(bool(line.strip()) for line in text.splitlines())


def totals(run: Run) -> dict[str, Json]:
    """Return the counts and rates that all clients report."""
    sent, received = sum(r.input_tokens for r in run.good), sum(r.output_tokens for r in run.good)
    return {
        "duration": run.seconds, "completed": len(run.good), "total_input_tokens": sent, "total_output_tokens": received,
        "request_throughput": len(run.good) / run.seconds, "output_throughput": received / run.seconds,
    }  # fmt: skip


def times(run: Run, e2e: str) -> dict[str, Json]:
    """Return the spread of the times, in milliseconds; ``e2e`` is what the client calls the latency."""
    good = run.good
    seconds = {
        "ttft": [r.ttft for r in good], "tpot": [r.tpot for r in good],
        "itl": [gap for r in good for gap in r.gaps], e2e: [r.latency for r in good],
    }  # fmt: skip
    found: dict[str, Json] = {}
    for name, values in seconds.items():
        scaled = [value * 1000 for value in values]
        found |= {f"mean_{name}_ms": mean(scaled), f"median_{name}_ms": percentile(scaled, 50)}
        found |= {f"std_{name}_ms": deviation(scaled)}
        found |= {f"p{p}_{name}_ms": percentile(scaled, p) for p in (90, 95, 99)}
    return found


def verdict(program: Program, run: Run) -> int:
    """Print the table's heart and return the exit code: 1 if all requests failed."""
    program.say("============ Serving Benchmark Result ============")
    for key, value in totals(run).items():
        program.say(f"{key:<24}{value:>12.2f}" if isinstance(value, float) else f"{key:<24}{value!s:>12}")
    for error in sorted({result.error for result in run.results if result.error})[:3]:
        program.say(f"ERROR {error}")
    return 0 if run.good else 1
