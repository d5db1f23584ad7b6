"""The sequence of a job: what starts when, and the gates in between.

In: the recipe, the steps and the probes. Out: gates with interval and timeout, and the sequence of actions in
``job.sh``::

    start infra; await_ready infra; start worker; start frontend; await_ready health; start benchmark; await_terminal
    benchmark
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from srtplan.ir.plan import Action, Gate, Probe, Stage, Step
from srtplan.ir.recipe import Recipe
from srtplan.plan.topology.waves import Waves

INFRA, HEALTH, SERVING = "infra", "health", "serving"
INFRA_INTERVAL_S, INFRA_TIMEOUT_S = 1, 120
SERVING_INTERVAL_S, SERVING_TIMEOUT_S = 30, 180
"""While the job serves: how often probes run, and how long one may fail before the job ends."""


def wave_gate(wave: int) -> str:
    """The gate after a wave of workers."""
    return f"wave_{wave}"


def gates(recipe: Recipe, probes: Iterable[Probe]) -> tuple[Gate, ...]:
    """Every gate with probes, in the order of the job, and the gate ``serving``."""
    check = recipe.health_check
    names = dict.fromkeys(p.gate for p in probes)
    return (
        *(
            Gate(name=name, interval_s=INFRA_INTERVAL_S, timeout_s=INFRA_TIMEOUT_S)
            if name == INFRA
            else Gate(name=name, interval_s=check.interval_seconds, timeout_s=check.timeout_s)
            for name in names
        ),
        Gate(name=SERVING, interval_s=SERVING_INTERVAL_S, timeout_s=SERVING_TIMEOUT_S),
    )


def sequence(steps: tuple[Step, ...], waves: Waves) -> tuple[Action, ...]:
    """The actions of the job, in order."""
    stages = dict.fromkeys(s.stage for s in steps)
    return (
        *_infra(stages),
        *_prepare(stages),
        *_workers(steps, waves),
        Action(verb="start", subject="frontend"),
        Action(verb="await_ready", subject=HEALTH),
        *_end(steps),
    )


def _infra(stages: Iterable[Stage]) -> Iterator[Action]:
    if "infra" in stages:
        yield Action(verb="start", subject="infra")
        yield Action(verb="await_ready", subject=INFRA)


def _prepare(stages: Iterable[Stage]) -> Iterator[Action]:
    if "prepare" in stages:
        yield Action(verb="start", subject="prepare")
        yield Action(verb="await_end", subject="prepare")


def _workers(steps: tuple[Step, ...], waves: Waves) -> Iterator[Action]:
    """Start wave by wave; the last action starts all remaining workers."""
    workers = [s for s in steps if s.stage == "worker"]
    for wave in range(max(waves.values(), default=0)):
        names = tuple(s.name for s in workers if waves[f"{s.mode}_{s.endpoint}"] == wave)
        yield Action(verb="start", subject="worker", steps=names)
        yield Action(verb="await_ready", subject=wave_gate(wave))
    yield Action(verb="start", subject="worker")


def _end(steps: tuple[Step, ...]) -> Iterator[Action]:
    terminal = next((s for s in steps if s.terminal), None)
    if terminal is None:
        yield Action(verb="serve")
        return
    yield Action(verb="start", subject=terminal.stage)
    yield Action(verb="await_terminal", subject=terminal.name)
