"""From endpoints to processes: one per node of a worker (or per GPU, if the engine requires it), with its ports.

Rank 0 is the leader. Ports are allocated in the order of the processes, so adding a worker at the end changes no port of
an earlier one.
"""

from __future__ import annotations

from srtplan.ir.recipe import Recipe, Role
from srtplan.ir.topology import Endpoint, Process
from srtplan.plan.topology.ports import Allocator
from srtplan.plugin import Engine, Port


def expand(
    recipe: Recipe, engine: Engine[object], endpoints: tuple[Endpoint, ...], ports: Allocator
) -> tuple[Process, ...]:
    """Return all processes of all endpoints, in order."""
    out: list[Process] = []
    for endpoint in endpoints:
        role = recipe.resources.role(endpoint.mode)
        assert role is not None  # noqa: S101 -- endpoints are made from the roles
        out += _worker_processes(recipe, engine, role, endpoint, ports)
    return tuple(out)


def _worker_processes(
    recipe: Recipe, engine: Engine[object], role: Role, endpoint: Endpoint, ports: Allocator
) -> list[Process]:
    shape, declared = engine.shape(recipe, role), engine.ports(recipe, role)
    offset = recipe.site.port_offset
    own = [p for p in declared if p.scope == "process"]
    first = endpoint.nodes[0]
    shared = {p.kind: _take(p, first, ports, offset) for p in declared if p.scope == "worker"}
    places = [(n, endpoint.gpus) for n in endpoint.nodes]
    if shape.per_gpu:
        places = [(n, (g,)) for n in endpoint.nodes for g in endpoint.gpus]
    return [
        Process(
            mode=endpoint.mode,
            endpoint=endpoint.index,
            rank=index * shape.ranks,
            node=node,
            gpus=gpus,
            leader=index == 0,
            ports=tuple(({p.kind: _take(p, node, ports, offset) for p in own} | shared).items()),
            shared=frozenset(shared),
        )
        for index, (node, gpus) in enumerate(places)
    ]


def _take(port: Port, node: int, ports: Allocator, offset: int) -> int:
    """The number of a declared port on a node. ``--port-offset`` is in the profile's numbers already."""
    base = port.base + offset if port.base is not None else None
    return ports.take(
        port.kind,
        node,
        job_wide=port.count == "job",
        stride=port.stride,
        block=port.block,
        base=base if port.fixed is None else port.fixed,
        offsets=port.offsets,
    )
