"""Profiling: engines that cannot record, missing windows, and contradicting times (SP710 to SP713)."""

from __future__ import annotations

from collections.abc import Iterable

from srtplan import plugin
from srtplan.diagnostics import Finding
from srtplan.ir.recipe import MODE_KEYS, Profiling, Recipe
from srtplan.plan.launch.profiling import first_step, is_on, last_step


def check(recipe: Recipe) -> Iterable[Finding]:
    """What the engine cannot do, and windows that are missing or cannot be."""
    p = recipe.profiling
    if not is_on(recipe):
        return
    yield from _able(recipe)
    if p.type == "nsys-time":
        yield from _clock(p)
        return
    windows, have = dict(p.windows), {r.mode for r in recipe.resources.roles}
    for mode in sorted(have - set(windows)):
        yield _fault(
            p,
            "SP711",
            f"there are {mode} workers, but no window for them",
            f"add profiling.{MODE_KEYS[mode]}",
        )
    for mode, window in p.windows:
        at = (*p.at, MODE_KEYS[mode])
        if mode not in have:
            yield Finding(
                rule="SP711", path=at, on_key=True, message=f"there are no {mode} workers to record"
            )
        elif not 0 <= first_step(window) < last_step(window):
            message = f"the window from step {first_step(window)} to {last_step(window)} is empty"
            yield Finding(rule="SP712", path=at, message=message, help="stop_step must be above start_step")


def _able(recipe: Recipe) -> Iterable[Finding]:
    engine, p = plugin.engine(recipe.engine.type), recipe.profiling
    if p.type not in engine.profilers:
        can = ", ".join(sorted(engine.profilers)) or "nothing: it does no work on GPUs"
        message = f"{engine.name} cannot be profiled with {p.type}"
        yield Finding(rule="SP710", path=(*p.at, "type"), message=message, help=f"it can do {can}")
    if not plugin.benchmark(recipe.benchmark.type).sends_requests and p.type != "nsys-time":
        message = f"nothing would be recorded: the benchmark '{recipe.benchmark.type}' sends no requests"
        yield Finding(
            rule="SP710", path=(*p.at, "type"), message=message, help="choose a benchmark, or nsys-time"
        )
    for role in recipe.resources.roles if engine.profilers and p.type != "nsys-time" else ():
        for key, _ in role.args.pairs:
            if key.replace("_", "-").startswith("profiler-config"):
                yield Finding(
                    rule="SP502",
                    path=(*role.args_at, key),
                    on_key=True,
                    message=f"'{key}' is decided by the plan",
                    help="remove it; it follows from `profiling`",
                )


def _clock(p: Profiling) -> Iterable[Finding]:
    for name, value in (("delay_secs", p.delay_secs), ("duration_secs", p.duration_secs)):
        if value is None:
            yield _fault(p, "SP713", f"nsys-time needs '{name}'", f"add `{name}:` to profiling")
        elif value < (1 if name == "duration_secs" else 0):
            yield Finding(
                rule="SP713", path=(*p.at, name), message=f"{name} is {value}, which records nothing"
            )
    if p.duration_secs and p.duration_secs > p.benchmark_duration_secs:
        yield Finding(
            rule="SP713",
            path=(*p.at, "duration_secs"),
            severity="warning",
            message=f"{p.duration_secs} s are recorded, but the benchmark takes {p.benchmark_duration_secs} s",
            help="raise benchmark_duration_secs if it takes longer",
        )


def _fault(p: Profiling, rule: str, message: str, hint: str) -> Finding:
    return Finding(rule=rule, path=p.at, on_key=True, message=message, help=hint)
