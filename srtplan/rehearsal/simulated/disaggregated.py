"""Simulated ``trtllm-serve disaggregated --config FILE``: a frontend over context and generation servers.

In: the text of the YAML file that names the servers. Out: completions through one context and one generation server,
once all of them are healthy.
"""

import re
from itertools import count

from srtplan.rehearsal.simulation import completions as _completions
from srtplan.rehearsal.simulation.engine import HEALTH
from srtplan.rehearsal.simulation.flags import Flags
from srtplan.rehearsal.simulation.http import (
    NOT_FOUND,
    OK,
    Request,
    Response,
    fetch,
    first_model,
    health,
    pass_on,
    serve,
)
from srtplan.rehearsal.simulation.program import Program

INTERVAL_S = 0.3


def main(program: Program, flags: Flags) -> int:
    """Be the frontend that the file describes."""
    text = program.require(flags.text("config", "c"))
    context, generation = _urls(text, "context_servers"), _urls(text, "generation_servers")
    if not context or not generation:
        why = "the configuration names no context_servers or no generation_servers"
        program.exit_with(1, f"ValueError: {why}")
    for url in context + generation:
        while fetch(program, f"{url}/health")[0] != OK:
            program.pause(INTERVAL_S)
    model, turn = first_model(program, generation[0]), count()

    def answer(request: Request) -> Response:
        """Answer one request."""
        if request.path in HEALTH:
            return health(is_well=program.is_ready)
        if request.path == "/v1/models":
            return _completions.models(model)
        if not _completions.is_completion(request):
            return Response({"detail": "Not Found"}, NOT_FOUND)
        number = next(turn)
        first, second = context[number % len(context)], generation[number % len(generation)]
        return pass_on(program, request, second, first)

    program.load([f"disaggregated: {len(context)} context, {len(generation)} generation servers"])
    host, port = _scalar(text, "hostname", "localhost"), int(_scalar(text, "port", "8000"))
    serve(program, host, port, answer)
    program.say(f"INFO:     Uvicorn running on http://{host}:{port}")
    program.serve()


def _scalar(text: str, key: str, default: str) -> str:
    """Return a top-level scalar of a YAML file that a program wrote."""
    match = re.search(rf"^{key}:\s*['\"]?([^\s'\"]+)", text, re.MULTILINE)
    return match.group(1) if match else default


def _urls(text: str, section: str) -> list[str]:
    """Return the URL of each item below ``section:`` ``urls:`` in a YAML file that a program wrote."""
    block = re.search(rf"^{section}:\s*\n((?:[ \t-].*\n?)*)", text, re.MULTILINE)
    item = r"^\s*-\s*['\"]?(?:https?://)?([\w.-]+:\d+)['\"]?\s*$"
    return [f"http://{place}" for place in re.findall(item, block.group(1) if block else "", re.MULTILINE)]
