"""Rules on profiling: unsupported profilers, missing windows, and contradicting times (SP710 to SP713)."""

from __future__ import annotations

from collections.abc import Iterable

from srtplan import plugin
from srtplan.diagnostics import Finding
from srtplan.ir.recipe import MODE_KEYS, Profiling, Recipe
from srtplan.plan.launch.profiling import first_step, is_on, last_step


def check(recipe: Recipe) -> Iterable[Finding]:
    """Yield problems of unsupported profilers and of missing or invalid windows."""
    p = recipe.profiling
    if not is_on(recipe):
        return
    yield from _able(recipe)
    if p.type == "nsys-time":
        yield from _clock(p)
        return
    windows, have = dict(p.windows), {r.mode for r in recipe.resources.roles}
    for mode in sorted(have - set(windows)):
        message = f"profiling has no window for the {mode} workers"
        hint = f"add `{MODE_KEYS[mode]}: {{start_step: 10, stop_step: 20}}` under `profiling:`"
        yield _problem(p, "SP711", message, hint)
    for mode, window in p.windows:
        at = (*p.at, MODE_KEYS[mode])
        if mode not in have:
            message = f"there are no {mode} workers to profile"
            yield Finding(rule="SP711", path=at, on_key=True, message=message, help="remove this window")
        elif not 0 <= first_step(window) < last_step(window):
            message = f"the window from step {first_step(window)} to {last_step(window)} is empty"
            hint = "set `stop_step` to a number greater than `start_step`"
            yield Finding(rule="SP712", path=at, message=message, help=hint)


def _able(recipe: Recipe) -> Iterable[Finding]:
    engine, p = plugin.engine(recipe.engine.type), recipe.profiling
    if p.type not in engine.profilers:
        profilers = " or ".join(sorted(engine.profilers))
        hint = f"set `type` to {profilers}" if profilers else "remove `profiling:`; this engine uses no GPUs"
        message = f"{engine.name} cannot be profiled with {p.type}"
        yield Finding(rule="SP710", path=(*p.at, "type"), message=message, help=hint)
    if not plugin.benchmark(recipe.benchmark.type).sends_requests and p.type != "nsys-time":
        message = f"{p.type} would record nothing: the benchmark '{recipe.benchmark.type}' sends no requests"
        hint = "set `benchmark.type` to a benchmark that sends requests, or use `type: nsys-time`"
        yield Finding(rule="SP710", path=(*p.at, "type"), message=message, help=hint)
    for role in recipe.resources.roles if engine.profilers and p.type != "nsys-time" else ():
        for key, _ in role.args.pairs:
            if key.replace("_", "-").startswith("profiler-config"):
                yield Finding(
                    rule="SP502",
                    path=(*role.args_at, key),
                    on_key=True,
                    message=f"'{key}' is decided by the plan",
                    help="remove it; it is set by `profiling:`",
                )


def _clock(p: Profiling) -> Iterable[Finding]:
    for name, value in (("delay_secs", p.delay_secs), ("duration_secs", p.duration_secs)):
        if value is None:
            yield _problem(p, "SP713", f"nsys-time requires '{name}'", f"add `{name}:` under `profiling:`")
        elif value < (minimum := 1 if name == "duration_secs" else 0):
            message = f"{name} must be at least {minimum}, not {value}"
            yield Finding(rule="SP713", path=(*p.at, name), message=message)
    if p.duration_secs and p.duration_secs > p.benchmark_duration_secs:
        yield Finding(
            rule="SP713",
            path=(*p.at, "duration_secs"),
            severity="warning",
            message=f"recording takes {p.duration_secs} s, but the benchmark only {p.benchmark_duration_secs} s",
            help="reduce `duration_secs`, or increase `benchmark_duration_secs`",
        )


def _problem(p: Profiling, rule: str, message: str, hint: str) -> Finding:
    return Finding(rule=rule, path=p.at, on_key=True, message=message, help=hint)
