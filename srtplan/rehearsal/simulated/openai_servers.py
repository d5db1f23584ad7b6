"""``vllm serve`` and ``trtllm-serve MODEL``.

In: argv. Out: the same HTTP interface as ``engine.py``. (``trtllm-serve disaggregated`` is in ``disaggregated.py``.)
"""

from srtplan.rehearsal.simulated import rendezvous, webserver
from srtplan.rehearsal.simulated.disaggregated import serve_disaggregated
from srtplan.rehearsal.simulated.engine import TRTLLM_LINES, VLLM_LINES, Engine, stay, until_stopped
from srtplan.rehearsal.simulated.flags import Flags
from srtplan.rehearsal.simulated.naming import ANY
from srtplan.rehearsal.simulated.program import Program

VLLM_MASTER_PORT = 29501
DP_RPC_PORT = 13345


async def serve_vllm(program: Program, flags: Flags) -> int:
    """Be ``vllm serve MODEL``; a rank with --headless, or above 0, serves nothing."""
    model = flags.text("served-model-name", default=(flags.words or [flags.text("model")])[0])
    rank = await join_vllm(program, flags)
    if rank > 0 or flags.has("headless"):
        await stay(program, rank)
    await program.load([line.format(args=model) for line in VLLM_LINES])
    engine = Engine(program, flags, model=model, mode="null")
    host, port = flags.text("host", default=ANY), flags.number("port", default=8000)
    server = await webserver.serve(program.naming.bind(host), port, engine.handle)
    program.say(f"Starting vLLM API server on http://{host}:{port}")
    return await until_stopped(program, server)


async def join_vllm(program: Program, flags: Flags) -> int:
    """Meet the other processes of a vLLM worker, data parallel or over nodes, and return this one's rank."""
    if flags.has("data-parallel-address"):
        size = flags.number("data-parallel-size", default=1)
        local = flags.number("data-parallel-size-local", default=1)
        first = flags.number("data-parallel-rank", "data-parallel-start-rank", default=0)
        place = (
            flags.text("data-parallel-address"),
            flags.number("data-parallel-rpc-port", default=DP_RPC_PORT),
        )
        rank, count = first // local, max(1, size // local)
        await rendezvous.meet(program, place, rank, count)
        return 0 if not flags.has("headless") else rank
    rank, count = flags.number("node-rank", default=0), flags.number("nnodes", default=1)
    place = (
        flags.text("master-addr", default="127.0.0.1"),
        flags.number("master-port", default=VLLM_MASTER_PORT),
    )
    await rendezvous.meet(program, place, rank, count)
    return rank


async def serve_trtllm(program: Program, flags: Flags) -> int:
    """Be ``trtllm-serve MODEL``, or its ``disaggregated`` frontend."""
    words = [word for word in flags.words if word != "serve"]
    if words and words[0] == "disaggregated":
        return await serve_disaggregated(program, require_file(program, flags.text("config", "c")))
    model = flags.text("served-model-name", default=(words or [flags.text("model")])[0])
    config = flags.text("extra-llm-api-options", "config", "extra-engine-args")
    require_file(program, config)
    await program.load([line.format(args=config) for line in TRTLLM_LINES])
    engine = Engine(program, flags, model=model, mode="null", is_strict=False)
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
        program.exit_with(1, f"FileNotFoundError: {path}: {error.strerror}")
