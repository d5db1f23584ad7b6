"""Placement of the workers of a recipe: nodes by role, and endpoints by node and GPU.

In: a Recipe. Out: ``Nodes`` and endpoints, or AllocationError if they do not fit. Prefill and decode of a heterogeneous job
are placed separately, each in its component. If the engine lets them share nodes, the job has only as many nodes as the
workers fill.
"""

from __future__ import annotations

from collections.abc import Iterable

from srtplan import plugin
from srtplan.ir.recipe import Recipe
from srtplan.ir.topology import Endpoint, Nodes
from srtplan.plan.topology import nodes
from srtplan.plan.topology.allocate import Group, allocate

LARGEST = 20_000
"""Maximum number of nodes of a job: the sum of the limits of two roles."""
Placed = tuple[Nodes, tuple[Endpoint, ...]]


def place(recipe: Recipe) -> Placed:
    """Return nodes and endpoints of the job. Raises AllocationError."""
    shares = _shares(recipe)
    if shares:
        enough = min(sum(r.workers * r.gpus for r in recipe.resources.roles), LARGEST)
        unlimited = _endpoints(recipe, range(enough), share=True)
        roles = nodes.assign(recipe, len({n for e in unlimited for n in e.nodes}))
    else:
        roles = nodes.assign(recipe, nodes.worker_nodes(recipe))
    if roles.components:
        return roles, _apart(recipe, roles)
    return roles, _endpoints(recipe, roles.workers, share=shares)


def _shares(recipe: Recipe) -> bool:
    if not recipe.resources.disaggregated or nodes.is_heterogeneous(recipe):
        return False
    return plugin.engine(recipe.engine.type).shares_nodes(recipe)


def _endpoints(recipe: Recipe, on: Iterable[int], *, share: bool) -> tuple[Endpoint, ...]:
    resources = recipe.resources
    return allocate(
        [Group(r.mode, r.workers, r.gpus) for r in resources.roles],
        gpus_per_node=resources.gpus_per_node,
        nodes=tuple(on),
        spread=resources.spread_workers,
        share=share,
    )


def _apart(recipe: Recipe, roles: Nodes) -> tuple[Endpoint, ...]:
    """Place each mode on the worker nodes of its component."""
    resources = recipe.resources
    placed: list[Endpoint] = []
    for number, role in enumerate(resources.roles):
        own = tuple(n for n in roles.workers if roles.component(n) == number)
        group = Group(role.mode, role.workers, role.gpus)
        placed += allocate(
            [group], gpus_per_node=resources.gpus_per_node, nodes=own, spread=resources.spread_workers
        )
    return tuple(placed)
