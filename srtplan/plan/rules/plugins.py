"""Engine, frontend and benchmark: pairs that do not fit, parallelism against GPUs, and each plugin's own rules."""

from __future__ import annotations

from collections.abc import Iterable

from srtplan import plugin
from srtplan.diagnostics import Finding, Path
from srtplan.ir.recipe import Recipe, Role


def engine(recipe: Recipe) -> Iterable[Finding]:
    """The engine's own rules, and SP402, SP403: parallelism against the GPUs of a worker, where its sizes are valid."""
    found = tuple(plugin.engine(recipe.engine.type).check(recipe))
    yield from found
    invalid = {f.path[:-1] for f in found if f.rule == "SP511"}
    for role in recipe.resources.roles:
        if not invalid & {role.args_at, role.extra_args_at}:
            yield from _parallelism(recipe, role)


def frontend(recipe: Recipe) -> Iterable[Finding]:
    """The frontend's own rules."""
    return plugin.frontend(recipe.frontend.type).check(recipe)


def benchmark(recipe: Recipe) -> Iterable[Finding]:
    """The benchmark's own rules."""
    return plugin.benchmark(recipe.benchmark.type).check(recipe)


def result_gate(recipe: Recipe) -> Iterable[Finding]:
    """SP702: retries, and the share of requests that may fail."""
    bench = recipe.benchmark
    if bench.retries < 0:
        yield Finding(rule="SP702", path=(*bench.at, "retries"), message="retries must be 0 or more")
    if not 0 <= bench.max_failed_share <= 1:
        message = "max_failed_share must be a share, from 0 to 1"
        yield Finding(rule="SP702", path=(*bench.at, "max_failed_share"), message=message)


def pair(recipe: Recipe) -> Iterable[Finding]:
    """SP401: an engine whose workers the frontend cannot reach."""
    engine, frontend = plugin.engine(recipe.engine.type), plugin.frontend(recipe.frontend.type)
    if plugin.interface(recipe) is None:
        others = (f for f in plugin.installed("frontend") if isinstance(f, plugin.Frontend))
        fits = [f.name for f in others if set(f.interfaces) & set(engine.interfaces)]
        yield Finding(
            rule="SP401",
            path=(*recipe.frontend.at, "type"),
            message=f"the {frontend.name} frontend cannot reach {engine.name} workers; the job would never be healthy",
            help=f"{engine.name} works with frontend.type {' or '.join(fits)}",
        )


def services(recipe: Recipe) -> Iterable[Finding]:
    """SP114, SP116: a service that the engine or the frontend needs, and that cannot be loaded."""
    needs = (
        (recipe.engine, plugin.engine(recipe.engine.type).services(recipe)),
        (recipe.frontend, plugin.frontend(recipe.frontend.type).services(recipe)),
    )
    for section, names in needs:
        for name in names:
            yield from _service(name, section.type, (*section.at, "type"))


def _service(name: str, needed_by: str, path: Path) -> Iterable[Finding]:
    try:
        plugin.service(name)
    except plugin.UnknownPluginError as error:
        message = f"{needed_by} needs the service '{name}', which is not installed"
        yield Finding(rule="SP114", path=path, message=message, help=f"known: {', '.join(error.known)}")
    except plugin.PluginError as error:
        yield Finding(rule="SP116", path=path, message=str(error))


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
