"""What can be known before the queue.

Plugins that do not fit together, parallelism against GPUs, the plugins' own checks.
"""

from __future__ import annotations

from collections.abc import Iterable

from srtplan import plugin
from srtplan.diagnostics import Finding
from srtplan.ir.recipe import Recipe
from srtplan.plan import model, mounts, placement, profiling


def check(recipe: Recipe) -> tuple[Finding, ...]:
    """All findings of a recipe that is well-formed."""
    return (
        *_pair(recipe),
        *_parallelism(recipe),
        *plugin.engine(recipe.engine.type).check(recipe),
        *plugin.frontend(recipe.frontend.type).check(recipe),
        *plugin.benchmark(recipe.benchmark.type).check(recipe),
        *profiling.check(recipe),
        *_gate(recipe),
        *placement.check(recipe),
        *model.check(recipe),
        *mounts.check(recipe),
    )


def _gate(recipe: Recipe) -> Iterable[Finding]:
    """Retries and the bound of failed requests."""
    bench = recipe.benchmark
    if bench.retries < 0:
        yield Finding(rule="SP702", path=(*bench.at, "retries"), message="retries must be 0 or more")
    if not 0 <= bench.max_failed_share <= 1:
        message = "max_failed_share must be a share, from 0 to 1"
        yield Finding(rule="SP702", path=(*bench.at, "max_failed_share"), message=message)


def _pair(recipe: Recipe) -> Iterable[Finding]:
    engine, frontend = plugin.engine(recipe.engine.type), plugin.frontend(recipe.frontend.type)
    if frontend.interface not in engine.interfaces:
        fits = [n for n in plugin.names("frontend") if plugin.frontend(n).interface in engine.interfaces]
        yield Finding(
            rule="SP401",
            path=(*recipe.frontend.at, "type"),
            message=f"the {frontend.name} frontend cannot reach {engine.name} workers; the job would never be healthy",
            help=f"{engine.name} works with frontend.type {' or '.join(fits)}",
        )


def _parallelism(recipe: Recipe) -> Iterable[Finding]:
    engine = plugin.engine(recipe.engine.type)
    for role in recipe.resources.roles:
        asked = engine.gpus_asked(recipe, role)
        if asked is None or asked[0] == role.gpus:
            continue
        gpus, how = asked
        more = gpus > role.gpus
        yield Finding(
            rule="SP402" if more else "SP403",
            path=role.args_at,
            on_key=True,
            severity="error" if more else "warning",
            message=f"each {role.mode} worker has {role.gpus} GPUs, but its options use {gpus} ({how})",
            help=f"change the options, or give each worker {gpus} GPUs (gpus_per_{role.mode})",
        )
