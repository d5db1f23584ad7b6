"""Simulated Dynamo workers: ``python3 -m dynamo.{sglang,vllm,trtllm,mocker}``.

In: argv, ETCD_ENDPOINTS, NATS_SERVER, DYN_SYSTEM_PORT. Out: an instance ``generate`` in the simulated etcd, with the
component that the real worker has, requests served at an address of its own, and the status server on
DYN_SYSTEM_PORT.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable

from srtplan.rehearsal.simulated import engine, webclient, webserver
from srtplan.rehearsal.simulated.discovery import Connection, Instance
from srtplan.rehearsal.simulated.flags import Flags
from srtplan.rehearsal.simulated.mpi import join_mpi
from srtplan.rehearsal.simulated.naming import ANY
from srtplan.rehearsal.simulated.openai_servers import join_vllm, require_file
from srtplan.rehearsal.simulated.profiler import Profiler
from srtplan.rehearsal.simulated.program import Program
from srtplan.rehearsal.simulated.webserver import Json, Request, Response

LINES = {
    "sglang": engine.SGLANG_LINES,
    "vllm": engine.VLLM_LINES,
    "trtllm": engine.TRTLLM_LINES,
    "mocker": ["mocker: {args}"],
}
EXTRA = {"sglang": [], "vllm": ["clear_kv_blocks"], "trtllm": ["clear_kv_blocks"], "mocker": []}
HEALTH_POLL_S = 0.2


async def serve_worker(program: Program, flags: Flags, kind: str) -> int:
    """Be one Dynamo worker process of an engine."""
    mode = _mode(flags)
    rank = await _JOIN[kind](program, flags)
    profiler = Profiler(program, flags)
    servers = await _open_side_ports(program, flags, profiler)
    if rank > 0:
        await engine.stay(program, rank)
    model = flags.text("served-model-name", "model-name", default=flags.text("model-path", "model"))
    connection = Connection(program)
    await connection.open()
    await program.load([line.format(args=flags.text("model-path", "model")) for line in LINES[kind]])
    bootstrap = await _bootstrap(program, flags, kind, mode)
    inner = engine.Engine(program, flags, model=model, mode=mode)
    inner.profiler = profiler
    plane = await webserver.serve(program.naming.own.address, 0, inner.handle)
    port = plane.sockets[0].getsockname()[1]
    workers = flags.number("num-workers", default=1) if kind == "mocker" else 1
    instances = [
        _instance(program, kind, mode, model, f"{program.naming.own.address}:{port}", bootstrap, i)
        for i in range(workers)
    ]
    for instance in instances if program.is_ready else ():
        connection.register(instance)
    program.say(f"registered {instances[0]['component']}.generate, model {model}")
    await _until_stopped(program, connection, instances)
    for server in (*servers, plane):
        server.close()
    await program.finish(connection.leave)


def _mode(flags: Flags) -> str:
    if flags.has("is-prefill-worker"):
        return "prefill"
    if flags.has("is-decode-worker"):
        return "decode"
    return flags.text("disaggregation-mode", default="agg")


def _instance(
    program: Program, kind: str, mode: str, model: str, address: str, bootstrap: int, index: int
) -> Instance:
    """Return what a worker announces: ``kind`` decides the component of a worker that is no prefill worker."""
    component = "prefill" if mode == "prefill" else "tensorrt_llm" if kind == "trtllm" else "backend"
    number = abs(hash((address, program.step, index))) % (1 << 62) + (1 << 62)
    return {
        "component": component, "namespace": program.environment.get("DYN_NAMESPACE", "dynamo"), "instance_id": number,
        "endpoints": ["generate", *EXTRA[kind], *([f"worker_kv_query_source_{number:x}"] if mode == "prefill" else [])],
        "address": address, "model": model, "bootstrap": bootstrap, "host": program.naming.own.address,
    }  # fmt: skip


async def _bootstrap(program: Program, flags: Flags, kind: str, mode: str) -> int:
    """Open the bootstrap port of an SGLang prefill worker; without the option Dynamo takes a free one."""
    if kind != "sglang" or mode != "prefill":
        return 0
    port = flags.number("disaggregation-bootstrap-port", default=0)
    server = await engine.open_port(program, ANY, port)
    return int(server.sockets[0].getsockname()[1])


async def _open_side_ports(program: Program, flags: Flags, profiler: Profiler) -> list[asyncio.Server]:
    """Open the ports that the plan gave this process: status server, KV events, NIXL side channel."""
    servers = []
    port = int(program.environment.get("DYN_SYSTEM_PORT", "-1"))
    if port >= 0:
        servers.append(
            await webserver.serve(
                program.naming.bind(ANY), port, lambda request: _system(program, profiler, request)
            )
        )
    events = flags.text("kv-events-config")
    if events.startswith("{") and "endpoint" in json.loads(events):
        place = webclient.split(json.loads(events)["endpoint"])
        servers.append(await engine.open_port(program, place[0], place[1]))
    for name in ("DYN_VLLM_KV_EVENT_PORT", "VLLM_NIXL_SIDE_CHANNEL_PORT"):
        number = program.environment.get(name)
        if number and not events:
            servers.append(await engine.open_port(program, ANY, int(number)))
    return servers


async def _system(program: Program, profiler: Profiler, request: Request) -> Response:
    """Answer on the status server's port."""
    if request.path in {"/health", "/live"}:
        status: Json = "ready" if program.is_ready else "notready"
        return Response({"status": status, "uptime": 1}, 200 if program.is_ready else 503)
    if request.path == "/metrics":
        return Response(text="# simulated\n")
    if request.path in {"/engine/start_profile", "/engine/stop_profile"} and request.method == "POST":
        if request.path.endswith("start_profile"):
            profiler.start(request.json())
        else:
            profiler.stop()
        return Response({"status": "ok", "message": "profiling"})
    return Response({"message": "Route not found"}, 404)


async def _until_stopped(program: Program, connection: Connection, instances: list[Instance]) -> None:
    """Wait for TERM; withdraw the instances for as long as the worker is unhealthy."""
    is_registered = True
    while not program.is_stopping:
        await asyncio.wait({asyncio.ensure_future(program.stopped())}, timeout=HEALTH_POLL_S)
        if is_registered and (not program.is_ready or program.is_stalled):
            program.say(f"health check failed: withdrawing {len(instances)} instances")
            await connection.withdraw()
            is_registered = False


async def _join_sglang(program: Program, flags: Flags) -> int:
    await engine.join_sglang(program, flags)
    return 0


async def _join_trtllm(program: Program, flags: Flags) -> int:
    require_file(program, flags.text("extra-engine-args"))
    await join_mpi(program)
    return 0


async def _join_nobody(_program: Program, _flags: Flags) -> int:
    return 0


_JOIN: dict[str, Callable[[Program, Flags], Awaitable[int]]] = {
    "sglang": _join_sglang,
    "vllm": join_vllm,
    "trtllm": _join_trtllm,
    "mocker": _join_nobody,
}


async def serve_sglang(program: Program, flags: Flags) -> int:
    """Be ``python3 -m dynamo.sglang``."""
    return await serve_worker(program, flags, "sglang")


async def serve_vllm(program: Program, flags: Flags) -> int:
    """Be ``python3 -m dynamo.vllm``."""
    return await serve_worker(program, flags, "vllm")


async def serve_trtllm(program: Program, flags: Flags) -> int:
    """Be ``python3 -m dynamo.trtllm``."""
    return await serve_worker(program, flags, "trtllm")


async def serve_mocker(program: Program, flags: Flags) -> int:
    """Be ``python3 -m dynamo.mocker``."""
    return await serve_worker(program, flags, "mocker")
