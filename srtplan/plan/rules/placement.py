"""Rules on placement: contradicting settings, and unused nodes (SP412 to SP416)."""

from __future__ import annotations

from collections.abc import Iterable

from srtplan import plugin
from srtplan.diagnostics import Finding, count_of
from srtplan.ir.recipe import Recipe
from srtplan.plan.topology.placement import Placed


def check(recipe: Recipe) -> Iterable[Finding]:
    """Yield problems of placement settings that contradict each other or have no effect."""
    yield from _components(recipe)
    yield from _reserved(recipe)
    bench, frontend = recipe.benchmark, recipe.frontend
    if bench.client_dedicated_node and bench.client_placement == "last_decode":
        yield Finding(
            rule="SP413",
            path=(*bench.at, "client_placement"),
            message="the client cannot run both on the last decode node and on a dedicated node",
            help="remove `client_placement` or `client_dedicated_node`",
        )
    if frontend.placement != "head" and plugin.frontend(frontend.type).processes(recipe):
        yield from _beside_decode(recipe)


def _components(recipe: Recipe) -> Iterable[Finding]:
    resources = recipe.resources
    path = ("resources", "het_jobs")
    decode = resources.role("decode")
    if resources.het_jobs and not resources.disaggregated:
        message = "'het_jobs' has no effect: aggregated workers use a single component"
        yield Finding(rule="SP412", path=path, severity="warning", message=message, help="remove it")
    elif resources.het_jobs and decode and not decode.nodes:
        yield Finding(
            rule="SP412",
            path=path,
            message="'het_jobs' requires separate nodes, but decode workers share the prefill nodes",
            help="give the decode workers their own nodes, or remove `het_jobs`",
        )


def _reserved(recipe: Recipe) -> Iterable[Finding]:
    """Yield a warning for each dedicated node on which nothing would run."""
    engine, frontend = plugin.engine(recipe.engine.type), plugin.frontend(recipe.frontend.type)
    services = (*frontend.services(recipe), *engine.services(recipe))
    serves = not plugin.benchmark(recipe.benchmark.type).sends_requests
    cases = (
        (recipe.infra.dedicated_node and not services, ("infra", "etcd_nats_dedicated_node"),
         f"the {frontend.name} frontend needs neither NATS nor etcd"),
        (recipe.frontend.dedicated_node and not frontend.processes(recipe), (*recipe.frontend.at, "dedicated_node"),
         "the worker serves requests itself; there is no frontend process"),
        (recipe.benchmark.client_dedicated_node and serves, (*recipe.benchmark.at, "client_dedicated_node"),
         f"benchmark.type {recipe.benchmark.type} starts no client"),
    )  # fmt: skip
    for unused, path, why in cases:
        if unused:
            message = f"the dedicated node may be unused: {why}"
            yield Finding(
                rule="SP414", path=path, severity="warning", message=message, help="remove this setting"
            )


def _beside_decode(recipe: Recipe) -> Iterable[Finding]:
    path = (*recipe.frontend.at, "orchestrator_placement")
    if recipe.frontend.dedicated_node:
        yield Finding(
            rule="SP413",
            path=path,
            message="the frontend cannot run both on the first decode node and on a dedicated node",
            help="remove `orchestrator_placement` or `dedicated_node`",
        )
    elif recipe.frontend.multiple and sum(r.nodes for r in recipe.resources.roles) > 1:
        yield Finding(
            rule="SP415",
            path=path,
            severity="warning",
            message="'orchestrator_placement' has no effect: nginx on the head node serves several frontends",
            help="set `enable_multiple_frontends: false` to run one frontend, on the first decode node",
        )


def unused(recipe: Recipe, placed: Placed) -> Iterable[Finding]:
    """Yield a warning for each role with more nodes than its workers fill."""
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
                message=f"{role.nodes - len(own)} of {count_of(role.nodes, f'{role.mode} node')} without workers",
                help=f"use {count_of(len(own), 'node')}, or more than {count_of(role.workers, 'worker')} "
                f"of {count_of(role.gpus, 'GPU')}",
            )
