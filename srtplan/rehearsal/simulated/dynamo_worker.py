"""Simulated Dynamo workers: ``python3 -m dynamo.{sglang,vllm,trtllm,mocker}``.

In: argv, ETCD_ENDPOINTS, NATS_SERVER, DYN_SYSTEM_PORT. Out: an instance ``generate``, with the component that the real
worker has, requests served at an address of its own, and the status server on DYN_SYSTEM_PORT.
"""

import json

from srtplan.rehearsal.simulation.discovery import Discovery, Instance
from srtplan.rehearsal.simulation.engine import Engine
from srtplan.rehearsal.simulation.flags import Flags
from srtplan.rehearsal.simulation.http import (
    NOT_FOUND,
    OK,
    UNAVAILABLE,
    Request,
    Response,
    listen,
    serve,
    split,
)
from srtplan.rehearsal.simulation.naming import ANY
from srtplan.rehearsal.simulation.program import Program
from srtplan.rehearsal.simulation.ranks import join, stay

HEALTH_POLL_S = 0.2
SIDE_PORTS = ("DYN_VLLM_KV_EVENT_PORT", "VLLM_NIXL_SIDE_CHANNEL_PORT")


def main(program: Program, flags: Flags) -> int:
    """Be one Dynamo worker process of an engine; its instances are withdrawn once it is unhealthy."""
    kind, mode = program.name.rpartition(".")[2], _mode(flags)
    program.require(flags.text("extra-engine-args"))
    rank = join(program, flags)
    engine = Engine(program, flags, mode=mode)
    _open_side_ports(program, flags, engine)
    if rank > 0:
        stay(program, rank)
    discovery = Discovery(program)
    engine.load()
    bootstrap = 0  # without the option Dynamo takes a free port
    if kind == "sglang" and mode == "prefill":
        bootstrap = listen(program, ANY, flags.number("disaggregation-bootstrap-port", default=0))
    own = program.naming.own.address
    shared: Instance = {
        "address": f"{own}:{serve(program, own, 0, engine.answer)}", "model": engine.model, "bootstrap": bootstrap,
        "host": own, "namespace": program.environment.get("DYN_NAMESPACE", "dynamo"),
    }  # fmt: skip
    count = flags.number("num-workers", default=1) if kind == "mocker" else 1
    instances = [shared | _names(shared, kind, mode, index) for index in range(count)]
    discovery.register(instances if program.is_ready else [])
    program.say(f"registered {instances[0]['component']}.generate, model {engine.model}")
    while program.is_ready and not program.is_stalled:
        program.pause(HEALTH_POLL_S)
    program.say(f"health check failed: withdrawing {len(instances)} instances")
    discovery.register([])
    program.serve()


def _mode(flags: Flags) -> str:
    for mode in ("prefill", "decode"):
        if flags.has(f"is-{mode}-worker"):
            return mode
    return flags.text("disaggregation-mode", default="agg")


def _names(shared: Instance, kind: str, mode: str, index: int) -> Instance:
    """Return component, number and endpoints; ``kind`` decides the component of a worker that is no prefill worker."""
    component = "prefill" if mode == "prefill" else "tensorrt_llm" if kind == "trtllm" else "backend"
    number = abs(hash((shared["address"], index))) % (1 << 62) + (1 << 62)
    clearing = ["clear_kv_blocks"] if kind in {"vllm", "trtllm"} else []
    query = [f"worker_kv_query_source_{number:x}"] if mode == "prefill" else []
    return {"component": component, "instance_id": number, "endpoints": ["generate", *clearing, *query]}


def _open_side_ports(program: Program, flags: Flags, engine: Engine) -> None:
    """Open the ports that the plan gave this process: status server, KV events, NIXL side channel."""

    def answer(request: Request) -> Response:
        """Answer on the status server's port."""
        if request.path in {"/health", "/live"}:
            is_ready = program.is_ready
            status = "ready" if is_ready else "notready"
            return Response({"status": status, "uptime": 1}, OK if is_ready else UNAVAILABLE)
        if request.path == "/metrics":
            return Response(text="# simulated\n")
        if request.path in {"/engine/start_profile", "/engine/stop_profile"} and request.method == "POST":
            return engine.profiler.call(request)
        return Response({"message": "Route not found"}, NOT_FOUND)

    port = int(program.environment.get("DYN_SYSTEM_PORT", "-1"))
    if port >= 0:
        serve(program, ANY, port, answer)
    events = flags.text("kv-events-config")
    if events.startswith("{") and "endpoint" in json.loads(events):
        listen(program, *split(json.loads(events)["endpoint"])[:2])
    for name in SIDE_PORTS if not events else ():
        if number := program.environment.get(name):
            listen(program, ANY, int(number))
