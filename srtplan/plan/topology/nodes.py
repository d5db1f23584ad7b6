"""Roles of the nodes: how many the job requests, and which hold infrastructure, frontends, client and workers.

Dedicated nodes (NATS and etcd, frontend, client) are added to the nodes of the workers. With ``colocate_with_frontend``
they share one node: the last one if the client is among them, else the first. Otherwise infra and frontend get the first
nodes and the client the last. A heterogeneous job has two components: the first nodes with those of prefill, and those of
decode with the last node.
"""

from __future__ import annotations

from attrs import evolve

from srtplan.ir.recipe import Recipe
from srtplan.ir.topology import Nodes


def assign(recipe: Recipe, workers: int) -> Nodes:
    """Return the node roles of a job with ``workers`` worker nodes."""
    infra = recipe.infra.dedicated_node
    frontend = recipe.frontend.dedicated_node
    client = recipe.benchmark.client_dedicated_node
    if recipe.benchmark.colocate_with_frontend and (infra or frontend or client):
        nodes = _shared(workers, infra=infra, frontend=frontend, client=client)
    else:
        nodes = _apart(workers, infra=infra, frontend=frontend, client=client)
    return evolve(nodes, components=_components(recipe, nodes)) if is_heterogeneous(recipe) else nodes


def is_heterogeneous(recipe: Recipe) -> bool:
    """Tell whether prefill and decode are separate Slurm components."""
    resources = recipe.resources
    return resources.het_jobs and resources.disaggregated and all(r.nodes for r in resources.roles)


def _components(recipe: Recipe, nodes: Nodes) -> tuple[int, int]:
    prefill = recipe.resources.role("prefill")
    first = nodes.workers[0] + (prefill.nodes if prefill else 0)
    return first, nodes.total - first


def _apart(workers: int, *, infra: bool, frontend: bool, client: bool) -> Nodes:
    first = infra + frontend
    own = tuple(range(first, first + workers))
    head = int(infra) if frontend else own[0]
    return Nodes(
        total=workers + first + client,
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


def worker_nodes(recipe: Recipe) -> int:
    """Return the number of worker nodes that the recipe requests."""
    return sum(r.nodes for r in recipe.resources.roles)
