"""Rules on plugins: incompatible pairs, parallelism against GPUs, and the rules of each plugin."""

from __future__ import annotations

from collections.abc import Iterable

from srtplan import plugin
from srtplan.diagnostics import Finding, Path, count_of
from srtplan.ir.recipe import Recipe, Role


def engine(recipe: Recipe) -> Iterable[Finding]:
    """Yield problems of the engine's own rules, and of parallelism against the GPUs of a worker (SP402, SP403)."""
    found = tuple(plugin.engine(recipe.engine.type).check(recipe))
    yield from found
    invalid = {f.path[:-1] for f in found if f.rule == "SP511"}
    for role in recipe.resources.roles:
        if not invalid & {role.args_at, role.extra_args_at}:
            yield from _parallelism(recipe, role)


def frontend(recipe: Recipe) -> Iterable[Finding]:
    """Yield problems of the frontend's own rules."""
    return plugin.frontend(recipe.frontend.type).check(recipe)


def benchmark(recipe: Recipe) -> Iterable[Finding]:
    """Yield problems of the benchmark's own rules."""
    return plugin.benchmark(recipe.benchmark.type).check(recipe)


def result_gate(recipe: Recipe) -> Iterable[Finding]:
    """Yield problems of the retries, and of the share of requests that may fail (SP702)."""
    bench = recipe.benchmark
    if bench.retries < 0:
        message = f"retries must be 0 or more, not {bench.retries}"
        yield Finding(rule="SP702", path=(*bench.at, "retries"), message=message)
    if not 0 <= bench.max_failed_share <= 1:
        message = f"max_failed_share must be from 0 to 1, not {bench.max_failed_share:g}"
        yield Finding(rule="SP702", path=(*bench.at, "max_failed_share"), message=message)


def pair(recipe: Recipe) -> Iterable[Finding]:
    """Yield a problem if the frontend cannot reach the workers of the engine (SP401)."""
    engine, frontend = plugin.engine(recipe.engine.type), plugin.frontend(recipe.frontend.type)
    if plugin.interface(recipe) is None:
        others = (f for f in plugin.installed("frontend") if isinstance(f, plugin.Frontend))
        fits = [f.name for f in others if set(f.interfaces) & set(engine.interfaces)]
        yield Finding(
            rule="SP401",
            path=(*recipe.frontend.at, "type"),
            message=f"the {frontend.name} frontend cannot reach {engine.name} workers",
            help=f"set `frontend.type` to {' or '.join(fits)}",
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
    needed = plugin.engine(recipe.engine.type).gpus_used(recipe, role)
    if needed is None or needed[0] == role.gpus:
        return
    gpus, how = needed
    more = gpus > role.gpus
    key = f"roles.{role.mode}.gpus" if role.at[:1] == ("roles",) else f"resources.gpus_per_{role.mode}"
    yield Finding(
        rule="SP402" if more else "SP403",
        path=role.args_at if role.args else role.extra_args_at,
        on_key=True,
        severity="error" if more else "warning",
        message=f"each {role.mode} worker has {count_of(role.gpus, 'GPU')}, but its options use {gpus} ({how})",
        help=f"change the options, or set `{key}` to {gpus}",
    )
