"""Endpoints to processes: one per node of a worker (or per GPU, where the engine asks), each with its own ports.

Rank 0 is the leader. Ports are counted in the order of the processes, so a worker added at the end changes none before it.
"""

from __future__ import annotations

from srtplan.ir.recipe import Recipe, Role
from srtplan.ir.topology import Endpoint, Process
from srtplan.plan.ports import Allocator
from srtplan.plugin import Engine


def expand(
    recipe: Recipe, engine: Engine, endpoints: tuple[Endpoint, ...], ports: Allocator
) -> tuple[Process, ...]:
    """All processes of all endpoints, in order."""
    out: list[Process] = []
    for endpoint in endpoints:
        role = recipe.resources.role(endpoint.mode)
        assert role is not None  # noqa: S101 -- endpoints are made from the roles
        out += _of(recipe, engine, role, endpoint, ports)
    return tuple(out)


def _of(recipe: Recipe, engine: Engine, role: Role, endpoint: Endpoint, ports: Allocator) -> list[Process]:
    leader = endpoint.nodes[0]
    shared: dict[str, int] = {}
    if endpoint.mode == "prefill":
        shared["bootstrap"] = ports.take("bootstrap", leader, base=engine.port_base(role, "bootstrap"))
    if len(endpoint.nodes) > 1:
        shared["dist_init"] = ports.take("dist_init", leader)
    places = [(n, endpoint.gpus) for n in endpoint.nodes]
    if engine.per_gpu(recipe, role):
        places = [(n, (g,)) for n in endpoint.nodes for g in endpoint.gpus]
    return [
        Process(
            mode=endpoint.mode,
            endpoint=endpoint.index,
            rank=rank,
            node=node,
            gpus=gpus,
            leader=rank == 0,
            ports=tuple((_own(recipe, engine, node, ports) | shared).items()),
        )
        for rank, (node, gpus) in enumerate(places)
    ]


def _own(recipe: Recipe, engine: Engine, node: int, ports: Allocator) -> dict[str, int]:
    stride = recipe.site.ports.http_stride
    own = {
        "system": ports.take("system", node, job_wide=True),
        "http": ports.take("http", node, stride=stride),
        "kv_events": ports.take("kv_events", node, job_wide=True),
        "nixl": ports.take("nixl", node, job_wide=True),
    }
    return own | {kind: ports.take(kind, node, job_wide=True) for kind in engine.ports}
