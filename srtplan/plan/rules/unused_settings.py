"""Warnings for fields that a recipe sets without effect on its job (SP115), so that no field is silently ignored.

In: a recipe, or its placement. Out: findings at the fields. A value that agrees with what happens anyway (``install:
false`` if nothing is installed) is not reported::

    frontend: {type: vllm, env: {A: "1"}}   ->  SP115 at frontend.env: there is no frontend process

Unused options of an engine are reported by the engine.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import cast

import attrs

from srtplan import plugin
from srtplan.diagnostics import Finding, no_effect
from srtplan.ir import recipe as ir
from srtplan.ir.recipe import Recipe
from srtplan.ir.topology import Nodes
from srtplan.plan.launch.names import services
from srtplan.plan.topology.frontends import FrontendLayout

NGINX = {
    "additional": "num_additional_frontends",
    "nginx_container": "nginx_container",
    "nginx_raise_ulimit": "nginx_raise_ulimit",
    "nginx_session_affinity": "nginx_session_affinity",
    "nginx_session_affinity_header": "nginx_session_affinity_header",
    "nginx_keepalive_timeout": "nginx_keepalive_timeout",
}
SOURCES = ("version", "hash", "top_of_tree", "wheel", "cargo_patches")
PLANES = ("request_plane", "event_plane")
NSYS = ("nsys", "nsys-time")


def check(recipe: Recipe) -> Iterable[Finding]:
    """Yield warnings that do not depend on the placement."""
    if not plugin.frontend(recipe.frontend.type).processes(recipe):
        yield from _without_frontend(recipe)
    yield from _dynamo(recipe)
    yield from _benchmark(recipe)
    yield from _profiling(recipe)
    if recipe.infra.nats_max_payload_mb is not None and "nats" not in services(recipe):
        yield no_effect(("infra", "nats_max_payload_mb"), "the job does not run NATS")
    if recipe.observability.otel_endpoint is not None and not recipe.observability.otel:
        yield no_effect(
            ("observability", "otel_endpoint"),
            "'enable_otel' is not set",
            help="add `enable_otel: true` under `observability:`, or remove it",
        )
    watched = recipe.observability.enabled or recipe.observability.otel
    if watched and not plugin.engine(recipe.engine.type).speaks_dynamo:
        why = f"{recipe.engine.type} workers do not run Dynamo, which writes the traces"
        yield no_effect(("observability",), why)
    small = [r for r in recipe.resources.roles if r.gpus < recipe.resources.gpus_per_node]
    if recipe.resources.spread_workers and not small:
        yield no_effect(("resources", "spread_workers"), "every worker uses whole nodes")


def placed(recipe: Recipe, nodes: Nodes, where: FrontendLayout) -> Iterable[Finding]:
    """Yield warnings that depend on the nodes of the job."""
    frontend, bench = recipe.frontend, recipe.benchmark
    if where.nginx is None:
        for name, key in NGINX.items():
            if _is_set(frontend, ir.Frontend, name):
                yield no_effect((*frontend.at, key), "the job does not run nginx")
    elif (
        _is_set(frontend, ir.Frontend, "nginx_session_affinity_header")
        and not frontend.nginx_session_affinity
    ):
        path = (*frontend.at, "nginx_session_affinity_header")
        hint = "add `nginx_session_affinity: true`, or remove it"
        yield no_effect(path, "'nginx_session_affinity' is not set", help=hint)
    if where.frontends and frontend.placement != "head" and recipe.resources.role("decode") is None:
        yield no_effect((*frontend.at, "orchestrator_placement"), "there are no decode workers")
    if (
        bench.client_placement == "last_decode"
        and plugin.benchmark(bench.type).sends_requests
        and nodes.bench == nodes.head
    ):
        yield no_effect((*bench.at, "client_placement"), "the client runs on that node anyway")


def _is_set(part: object, kind: type, name: str) -> bool:
    """Tell whether a field differs from its default."""
    return bool(getattr(part, name) != _defaults(kind)[name])


@cache
def _defaults(kind: type) -> dict[str, object]:
    return {field.name: field.default for field in attrs.fields(kind)}


def _without_frontend(recipe: Recipe) -> Iterable[Finding]:
    """Yield problems of frontend settings if a worker serves the public port and there is no frontend process."""
    frontend, why = recipe.frontend, "the worker serves requests itself; there is no frontend process"
    if frontend.args:
        yield Finding(
            rule="SP603",
            path=(*frontend.at, "args"),
            on_key=True,
            message="'args' cannot be used: there is no frontend process",
            help="move them to the options of the workers",
        )
    if frontend.env:
        yield no_effect((*frontend.at, "env"), why, help="move it to the environment of the workers")
    if frontend.placement != "head":
        yield no_effect((*frontend.at, "orchestrator_placement"), why)
    for option in attrs.fields(cast("type[attrs.AttrsInstance]", type(frontend.options))):
        if getattr(frontend.options, option.name) != option.default:
            yield no_effect((*frontend.at, option.name), why)


def _dynamo(recipe: Recipe) -> Iterable[Finding]:
    dynamo, frontend = recipe.dynamo, plugin.frontend(recipe.frontend.type)
    why = "" if dynamo.install else "dynamo.install is false"
    if not frontend.installs_dynamo:
        why = f"the {frontend.name} frontend does not use Dynamo"
    for name in SOURCES if why else ():
        if _is_set(dynamo, ir.Dynamo, name) and getattr(dynamo, name) is not None:
            yield no_effect(("dynamo", name), why)
    for name in PLANES:
        if name not in frontend.reads and _is_set(dynamo, ir.Dynamo, name):
            yield no_effect(("dynamo", name), f"the {frontend.name} frontend uses HTTP to reach its workers")


def _benchmark(recipe: Recipe) -> Iterable[Finding]:
    bench = recipe.benchmark
    if not plugin.benchmark(bench.type).sends_requests:
        for name in ("retries", "max_failed_share", "client_placement"):
            if _is_set(bench, ir.Benchmark, name):
                yield no_effect((*bench.at, name), f"benchmark.type {bench.type} starts no client")
    dedicated = (recipe.infra.dedicated_node, recipe.frontend.dedicated_node, bench.client_dedicated_node)
    if not bench.colocate_with_frontend and sum(dedicated) < 2:  # noqa: PLR2004 -- a pair
        why = "fewer than two roles have a dedicated node"
        yield no_effect((*bench.at, "colocate_with_frontend"), why)


def _profiling(recipe: Recipe) -> Iterable[Finding]:
    p = recipe.profiling
    timed = ("delay_secs", "duration_secs", "benchmark_duration_secs")
    unread = (
        (*timed, "extra_nsys_args") if p.type not in NSYS
        else timed if p.type != "nsys-time" else ()
    )  # fmt: skip
    for name in unread:
        if _is_set(p, ir.Profiling, name):
            yield no_effect((*p.at, name), f"profiling.type is {p.type}")
    for mode, _ in p.windows if p.type in ("none", "nsys-time") else ():
        yield no_effect((*p.at, ir.MODE_KEYS[mode]), f"profiling.type is {p.type}")
