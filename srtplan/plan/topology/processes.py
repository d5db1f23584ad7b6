"""From endpoints to processes: one per node of a worker (or per GPU, if the engine requires it), with its ports.

Rank 0 is the leader. Ports are allocated in the order of the processes, so adding a worker at the end changes no port of
an earlier one.
"""

from __future__ import annotations

from attrs import evolve

from srtplan.ir.recipe import Recipe, Role
from srtplan.ir.topology import Endpoint, Process
from srtplan.plan.topology.ports import Allocator
from srtplan.plugin import Engine, Shape


def expand(
    recipe: Recipe, engine: Engine, endpoints: tuple[Endpoint, ...], ports: Allocator
) -> tuple[Process, ...]:
    """Return all processes of all endpoints, in order."""
    out: list[Process] = []
    for endpoint in endpoints:
        role = recipe.resources.role(endpoint.mode)
        assert role is not None  # noqa: S101 -- endpoints are made from the roles
        out += _worker_processes(recipe, engine, role, endpoint, ports)
    return tuple(out)


def _worker_processes(
    recipe: Recipe, engine: Engine, role: Role, endpoint: Endpoint, ports: Allocator
) -> list[Process]:
    shape = engine.shape(recipe, role)
    shared = _shared_ports(engine, role, endpoint, shape, ports)
    places = [(n, endpoint.gpus) for n in endpoint.nodes]
    if shape.per_gpu:
        places = [(n, (g,)) for n in endpoint.nodes for g in endpoint.gpus]
    alone = shape if len(endpoint.nodes) == 1 else evolve(shape, beside_http=())
    return [
        Process(
            mode=endpoint.mode,
            endpoint=endpoint.index,
            rank=index * shape.ranks,
            node=node,
            gpus=gpus,
            leader=index == 0,
            ports=tuple((_own_ports(recipe, engine, node, alone, ports) | shared).items()),
        )
        for index, (node, gpus) in enumerate(places)
    ]


def _shared_ports(
    engine: Engine, role: Role, endpoint: Endpoint, shape: Shape, ports: Allocator
) -> dict[str, int]:
    """Allocate the ports of the worker as a whole, on its first node."""
    leader = endpoint.nodes[0]
    shared: dict[str, int] = {}
    if endpoint.mode == "prefill":
        shared["bootstrap"] = ports.take("bootstrap", leader, base=engine.port_base(role, "bootstrap"))
    if len(endpoint.nodes) > 1:
        shared["dist_init"] = ports.take("dist_init", leader, beside=shape.beside_dist_init)
    if shape.rpc:
        shared["dp_rpc"] = ports.take("dp_rpc", leader, base=engine.port_base(role, "dp_rpc"))
    if shape.nixl_block:
        shared["nixl"] = ports.take("nixl", leader, job_wide=True, block=shape.nixl_block)
    return shared


def _own_ports(recipe: Recipe, engine: Engine, node: int, shape: Shape, ports: Allocator) -> dict[str, int]:
    table = recipe.site.ports
    own = {
        "system": ports.take("system", node, job_wide=True),
        "http": ports.take("http", node, stride=table.http_stride, beside=shape.beside_http),
        "kv_events": ports.take("kv_events", node, job_wide=True, block=shape.kv_block),
    }
    if not shape.nixl_block:
        own["nixl"] = ports.take("nixl", node, job_wide=True)
    if shape.kvbm:
        own["kvbm"] = ports.take("kvbm", node, job_wide=True, stride=2, block=2)
    if "vllm" in engine.ports:
        own["vllm"] = ports.take(
            "vllm", node, job_wide=True, stride=table.vllm_stride, block=table.vllm_stride
        )
    return own | {kind: ports.take(kind, node, job_wide=True) for kind in engine.ports if kind != "vllm"}
