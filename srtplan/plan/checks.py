"""What can be known before the queue.

Plugins that do not fit together, parallelism against GPUs, the plugins' own checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from srtplan import plugin
from srtplan.diagnostics import Finding
from srtplan.ir.recipe import Recipe, Role
from srtplan.plan import effects, model, mounts, placement, preflight, profiling

ALONE = ("SP701", "SP702")
"""Rules of benchmarks that look at nothing but their section."""


def check(recipe: Recipe, faulty: frozenset[str] = frozenset()) -> tuple[Finding, ...]:
    """All findings; those that would look at a ``faulty`` section are left out."""
    found = [f for sections, rule in CHECKS if not faulty & sections for f in rule(recipe)]
    if faulty & _BENCHMARK and "benchmark" not in faulty:
        found += (f for f in _benchmark(recipe) if f.rule in ALONE)
    return tuple(found)


def _engine(recipe: Recipe) -> Iterable[Finding]:
    """What the engine says, and parallelism against GPUs where the sizes are sizes at all."""
    found = tuple(plugin.engine(recipe.engine.type).check(recipe))
    yield from found
    senseless = {f.path[:-1] for f in found if f.rule == "SP511"}
    for role in recipe.resources.roles:
        if not senseless & {role.args_at, role.extra_args_at}:
            yield from _parallelism(recipe, role)


def _frontend(recipe: Recipe) -> Iterable[Finding]:
    return plugin.frontend(recipe.frontend.type).check(recipe)


def _benchmark(recipe: Recipe) -> Iterable[Finding]:
    return plugin.benchmark(recipe.benchmark.type).check(recipe)


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


def _parallelism(recipe: Recipe, role: Role) -> Iterable[Finding]:
    asked = plugin.engine(recipe.engine.type).gpus_asked(recipe, role)
    if asked is None or asked[0] == role.gpus:
        return
    gpus, how = asked
    more = gpus > role.gpus
    yield Finding(
        rule="SP402" if more else "SP403",
        path=role.args_at if role.args else role.extra_args_at,
        on_key=True,
        severity="error" if more else "warning",
        message=f"each {role.mode} worker has {role.gpus} GPUs, but its options use {gpus} ({how})",
        help=f"change the options, or give each worker {gpus} GPUs (gpus_per_{role.mode})",
    )


Rule = Callable[[Recipe], Iterable[Finding]]
_BENCHMARK = frozenset(("benchmark", "engine", "resources"))
CHECKS: tuple[tuple[frozenset[str], Rule], ...] = (
    (frozenset(("engine", "frontend")), _pair),
    (frozenset(("engine", "resources")), _engine),
    (frozenset(("frontend", "resources")), _frontend),
    (_BENCHMARK, _benchmark),
    (frozenset(("profiling", "benchmark", "engine", "resources")), profiling.check),
    (frozenset(("benchmark",)), _gate),
    (frozenset(("engine", "frontend", "benchmark", "infra", "resources")), placement.check),
    (
        frozenset(("engine", "frontend", "benchmark", "infra", "dynamo", "profiling", "resources")),
        effects.check,
    ),
    (frozenset(("model", "environment")), model.check),
    (frozenset(("model",)), mounts.check),
    (frozenset(("model", "frontend", "dynamo")), preflight.check),
)
"""Each rule with the sections it looks at."""
