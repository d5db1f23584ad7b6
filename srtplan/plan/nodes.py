"""Roles of the nodes: how many the job asks for, and which of them hold infrastructure, frontends, client and workers.

Dedicated nodes (NATS and etcd, frontend, client) come on top of the workers' nodes. With
``colocate_with_frontend`` they share one:
the last node if the client is among them, else the first; without it infra and frontend take the first nodes and
the client the last.
"""

from __future__ import annotations

from srtplan.ir.recipe import Recipe
from srtplan.ir.topology import Nodes


def assign(recipe: Recipe, workers: int) -> Nodes:
    """The roles for a job with ``workers`` worker nodes."""
    infra = recipe.infra.dedicated_node
    frontend = recipe.frontend.dedicated_node
    client = recipe.benchmark.client_dedicated_node
    wanted = infra + frontend + client
    if recipe.benchmark.colocate_with_frontend and wanted:
        return _shared(workers, infra=infra, frontend=frontend, client=client)
    first = infra + frontend
    own = tuple(range(first, first + workers))
    head = int(infra) if frontend else own[0]
    return Nodes(
        total=workers + wanted,
        infra=0 if infra else head,
        head=head,
        bench=workers + first if client else head,
        workers=own,
    )


def _shared(workers: int, *, infra: bool, frontend: bool, client: bool) -> Nodes:
    reserved = workers if client else 0
    own = tuple(range(workers)) if client else tuple(range(1, workers + 1))
    head = reserved if frontend else own[0]
    return Nodes(
        total=workers + 1,
        infra=reserved if infra else head,
        head=head,
        bench=reserved if client else head,
        workers=own,
    )


def wanted(recipe: Recipe) -> int:
    """Worker nodes that the recipe asks for."""
    return sum(r.nodes for r in recipe.resources.roles)
