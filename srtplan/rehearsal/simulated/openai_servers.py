"""``vllm serve``, ``trtllm-serve MODEL`` and ``trtllm-serve disaggregated``.

In: argv. Out: the same HTTP interface as ``engine.py``, or a frontend over the servers of a YAML file.
"""

import asyncio
import re

from srtplan.rehearsal.simulated import completions, rendezvous, webclient, webserver
from srtplan.rehearsal.simulated.engine import HEALTH, TRTLLM_LINES, VLLM_LINES, Engine, stay, until_stopped
from srtplan.rehearsal.simulated.flags import Flags
from srtplan.rehearsal.simulated.forward import forward
from srtplan.rehearsal.simulated.program import Program
from srtplan.rehearsal.simulated.webserver import Request, Response

VLLM_MASTER_PORT = 29501
DP_RPC_PORT = 13345
HEALTH_INTERVAL_S = 0.3


async def serve_vllm(program: Program, flags: Flags) -> int:
    """Be ``vllm serve MODEL``; a rank with --headless, or above 0, serves nothing."""
    model = flags.text("served-model-name", default=(flags.words or [flags.text("model")])[0])
    rank = await join_vllm(program, flags)
    if rank > 0 or flags.has("headless"):
        await stay(program, rank)
    await program.load([line.format(args=model) for line in VLLM_LINES])
    engine = Engine(program, flags, model=model, mode="null")
    host, port = flags.text("host", default="0.0.0.0"), flags.number("port", default=8000)  # noqa: S104
    server = await webserver.serve(program.naming.bind(host), port, engine.handle)
    program.say(f"Starting vLLM API server on http://{host}:{port}")
    return await until_stopped(program, server)


async def join_vllm(program: Program, flags: Flags) -> int:
    """Meet the other processes of a vLLM worker, data parallel or over nodes, and return this one's rank."""
    if flags.has("data-parallel-address"):
        size = flags.number("data-parallel-size", default=1)
        local = flags.number("data-parallel-size-local", default=1)
        first = flags.number("data-parallel-rank", "data-parallel-start-rank", default=0)
        place = (flags.text("data-parallel-address"), flags.number("data-parallel-rpc-port", default=DP_RPC_PORT))
        rank, count = first // local, max(1, size // local)
        await rendezvous.meet(program, place, rank, count)
        return 0 if not flags.has("headless") else rank
    rank, count = flags.number("node-rank", default=0), flags.number("nnodes", default=1)
    place = (flags.text("master-addr", default="127.0.0.1"), flags.number("master-port", default=VLLM_MASTER_PORT))
    await rendezvous.meet(program, place, rank, count)
    return rank


async def serve_trtllm(program: Program, flags: Flags) -> int:
    """Be ``trtllm-serve MODEL``, or its ``disaggregated`` frontend."""
    words = [word for word in flags.words if word != "serve"]
    if words and words[0] == "disaggregated":
        return await _serve_disaggregated(program, flags)
    model = flags.text("served-model-name", default=(words or [flags.text("model")])[0])
    config = flags.text("extra-llm-api-options", "config", "extra-engine-args")
    require_file(program, config)
    await program.load([line.format(args=config) for line in TRTLLM_LINES])
    engine = Engine(program, flags, model=model, mode="null")
    host, port = flags.text("host", default="localhost"), flags.number("port", default=8000)
    server = await webserver.serve(program.naming.bind(host), port, engine.handle)
    program.say(f"INFO:     Uvicorn running on http://{host}:{port}")
    return await until_stopped(program, server)


def require_file(program: Program, path: str) -> str:
    """Return the text of a file that the command line names; end with 1 if it cannot be read, as the engine would."""
    if not path:
        return ""
    try:
        return program.naming.path(path).read_text(encoding="utf-8")
    except OSError as error:
        program.fail(1, f"FileNotFoundError: {path}: {error.strerror}")


async def _serve_disaggregated(program: Program, flags: Flags) -> int:
    """Wait until all servers of the file are healthy, then send completions to one context and one generation server."""
    text = require_file(program, flags.text("config", "c"))
    context, generation = _urls(text, "context_servers"), _urls(text, "generation_servers")
    turn = iter(range(1 << 62))
    model = {"name": ""}

    async def handle(request: Request) -> Response:
        if request.path in HEALTH:
            return Response(text="", status=200 if program.is_ready else 503)
        if request.path == "/v1/models":
            return completions.models(model["name"], "trtllm")
        if not completions.is_completion(request):
            return Response({"detail": "Not Found"}, 404)
        number = next(turn)
        body = request.json()
        await webclient.fetch(program.naming, f"http://{context[number % len(context)]}{request.path}", body | {"max_tokens": 1, "stream": False})
        return await forward(program.naming, f"http://{generation[number % len(generation)]}{request.path}", body)

    while not all([(await webclient.fetch(program.naming, f"http://{url}/health"))[0] == 200 for url in context + generation]):  # noqa: PLR2004
        if program.is_stopping:
            await program.finish()
        await asyncio.sleep(HEALTH_INTERVAL_S)
    _, listed = await webclient.fetch(program.naming, f"http://{generation[0]}/v1/models")
    model["name"] = str(re.search(r"'id': '([^']*)'", str(listed)).group(1)) if "'id'" in str(listed) else ""  # type: ignore[union-attr]
    await program.load([f"disaggregated: {len(context)} context, {len(generation)} generation servers"])
    host = re.search(r"^hostname:\s*(\S+)", text, re.MULTILINE)
    port = re.search(r"^port:\s*(\d+)", text, re.MULTILINE)
    address = program.naming.bind(host.group(1).strip("'\"") if host else "localhost")
    server = await webserver.serve(address, int(port.group(1)) if port else 8000, handle)
    return await until_stopped(program, server)


def _urls(text: str, section: str) -> list[str]:
    """Return ``HOST:PORT`` of each item below ``section:`` ``urls:`` in a YAML file that a program wrote."""
    block = re.search(rf"^{section}:\s*\n((?:[ \t-].*\n?)*)", text, re.MULTILINE)
    return re.findall(r"^\s*-\s*['\"]?(?:https?://)?([\w.-]+:\d+)['\"]?\s*$", block.group(1), re.MULTILINE) if block else []
