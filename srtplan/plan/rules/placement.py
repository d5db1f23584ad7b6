"""Placement: contradicting settings, and nodes that nothing uses (SP412 to SP416)."""

from __future__ import annotations

from collections.abc import Iterable

from srtplan import plugin
from srtplan.diagnostics import Finding
from srtplan.ir.recipe import Recipe
from srtplan.plan.topology.placement import Placed


def check(recipe: Recipe) -> Iterable[Finding]:
    """Placement wishes that contradict each other, or that nothing will follow."""
    yield from _components(recipe)
    yield from _reserved(recipe)
    bench, frontend = recipe.benchmark, recipe.frontend
    if bench.client_dedicated_node and bench.client_placement == "last_decode":
        yield Finding(
            rule="SP413",
            path=(*bench.at, "client_placement"),
            message="the client cannot be on the last decode node and on a node of its own",
            help="keep one of client_placement and client_dedicated_node",
        )
    if frontend.placement != "head" and plugin.frontend(frontend.type).processes(recipe):
        yield from _beside_decode(recipe)


def _components(recipe: Recipe) -> Iterable[Finding]:
    resources = recipe.resources
    path = ("resources", "het_jobs")
    decode = resources.role("decode")
    if resources.het_jobs and not resources.disaggregated:
        message = "het_jobs has no effect: aggregated workers are one component"
        yield Finding(rule="SP412", path=path, severity="warning", message=message)
    elif resources.het_jobs and decode and not decode.nodes:
        yield Finding(
            rule="SP412",
            path=path,
            message="decode workers share the prefill nodes, but het_jobs gives each its own Slurm component",
            help="give decode nodes of its own, or remove het_jobs",
        )


def _reserved(recipe: Recipe) -> Iterable[Finding]:
    """A node on top of the workers' that nothing would run on."""
    engine, frontend = plugin.engine(recipe.engine.type), plugin.frontend(recipe.frontend.type)
    services = (*frontend.services(recipe), *engine.services(recipe))
    serves = not plugin.benchmark(recipe.benchmark.type).sends_requests
    cases = (
        (recipe.infra.dedicated_node and not services, ("infra", "etcd_nats_dedicated_node"),
         f"the {frontend.name} frontend needs neither NATS nor etcd"),
        (recipe.frontend.dedicated_node and not frontend.processes(recipe), (*recipe.frontend.at, "dedicated_node"),
         "the worker serves by itself, there is no frontend process"),
        (recipe.benchmark.client_dedicated_node and serves, (*recipe.benchmark.at, "client_dedicated_node"),
         f"benchmark.type {recipe.benchmark.type} starts no client"),
    )  # fmt: skip
    for unused, path, why in cases:
        if unused:
            message = f"a reserved node may stay unused: {why}"
            yield Finding(
                rule="SP414", path=path, severity="warning", message=message, help=f"remove {path[-1]}"
            )


def _beside_decode(recipe: Recipe) -> Iterable[Finding]:
    path = (*recipe.frontend.at, "orchestrator_placement")
    if recipe.frontend.dedicated_node:
        yield Finding(
            rule="SP413",
            path=path,
            message="the frontend cannot be on the first decode node and on a node of its own",
            help="keep one of orchestrator_placement and dedicated_node",
        )
    elif recipe.frontend.multiple and sum(r.nodes for r in recipe.resources.roles) > 1:
        yield Finding(
            rule="SP415",
            path=path,
            severity="warning",
            message="orchestrator_placement has no effect: nginx on the head stands before several frontends",
            help="set frontend.enable_multiple_frontends: false for one frontend on the first decode node",
        )


def unused(recipe: Recipe, placed: Placed) -> Iterable[Finding]:
    """Worker nodes that no worker stands on."""
    roles, endpoints = placed
    taken = {n for e in endpoints for n in e.nodes}
    idle = [n for n in roles.workers if n not in taken]
    if not idle:
        return
    for role in recipe.resources.roles:
        own = {n for e in endpoints if e.mode == role.mode for n in e.nodes}
        if len(own) < role.nodes:
            yield Finding(
                rule="SP416",
                path=role.at,
                on_key=True,
                severity="warning",
                message=f"{role.nodes - len(own)} of {role.nodes} {role.mode} nodes have no worker",
                help=f"{role.workers} workers of {role.gpus} GPUs need {len(own)} nodes",
            )
