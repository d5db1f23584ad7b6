"""``trtllm-serve disaggregated --config FILE``: a frontend over context and generation servers.

In: the text of the YAML file that names the servers. Out: completions through one context and one generation server,
once all of them are healthy.
"""

import asyncio
import re
from itertools import count

from srtplan.rehearsal.simulated import completions, webclient, webserver
from srtplan.rehearsal.simulated.engine import HEALTH, until_stopped
from srtplan.rehearsal.simulated.forward import forward
from srtplan.rehearsal.simulated.program import Program
from srtplan.rehearsal.simulated.webserver import Request, Response

INTERVAL_S = 0.3
DEFAULT_PORT = 8000
OK = 200


class _Frontend:
    """The HTTP interface over the servers of one file."""

    def __init__(self, program: Program, text: str) -> None:
        self.program = program
        self.context, self.generation = urls(text, "context_servers"), urls(text, "generation_servers")
        self.model = ""
        self.turn = count()

    async def until_healthy(self) -> None:
        """Return when every server answers /health, and the model's name is known."""
        for url in self.context + self.generation:
            while (await webclient.fetch(self.program.naming, f"http://{url}/health"))[0] != OK:
                if self.program.is_stopping:
                    await self.program.finish()
                await asyncio.sleep(INTERVAL_S)
        self.model = await webclient.first_model(self.program.naming, f"http://{self.generation[0]}")

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        if request.path in HEALTH:
            return Response(text="", status=OK if self.program.is_ready else 503)
        if request.path == "/v1/models":
            return completions.models(self.model, "trtllm")
        if not completions.is_completion(request):
            return Response({"detail": "Not Found"}, 404)
        number, body = next(self.turn), request.json()
        first = self.context[number % len(self.context)]
        short = body | {"max_tokens": 1, "stream": False}
        await webclient.fetch(self.program.naming, f"http://{first}{request.path}", short)
        second = self.generation[number % len(self.generation)]
        return await forward(self.program.naming, f"http://{second}{request.path}", body)


async def serve_disaggregated(program: Program, text: str) -> int:
    """Be the frontend that the file describes."""
    frontend = _Frontend(program, text)
    if not frontend.context or not frontend.generation:
        program.exit_with(
            1, "ValueError: the configuration names no context_servers or no generation_servers"
        )
    await frontend.until_healthy()
    counts = f"{len(frontend.context)} context, {len(frontend.generation)} generation servers"
    await program.load([f"disaggregated: {counts}"])
    host, port = scalar(text, "hostname", "localhost"), int(scalar(text, "port", str(DEFAULT_PORT)))
    server = await webserver.serve(program.naming.bind(host), port, frontend.handle)
    program.say(f"INFO:     Uvicorn running on http://{host}:{port}")
    return await until_stopped(program, server)


def scalar(text: str, key: str, default: str) -> str:
    """Return a top-level scalar of a YAML file that a program wrote."""
    match = re.search(rf"^{key}:\s*['\"]?([^\s'\"]+)", text, re.MULTILINE)
    return match.group(1) if match else default


def urls(text: str, section: str) -> list[str]:
    """Return ``HOST:PORT`` of each item below ``section:`` ``urls:`` in a YAML file that a program wrote."""
    block = re.search(rf"^{section}:\s*\n((?:[ \t-].*\n?)*)", text, re.MULTILINE)
    item = r"^\s*-\s*['\"]?(?:https?://)?([\w.-]+:\d+)['\"]?\s*$"
    return re.findall(item, block.group(1), re.MULTILINE) if block else []
