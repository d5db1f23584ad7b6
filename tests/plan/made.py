"""Recipes for tests of the plan: a small one, changed in place, and what is planned for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from srtplan import pipeline
from srtplan.diagnostics import InputError
from srtplan.ir.plan import Plan, Step
from srtplan.ir.shell import notation

Recipe = dict[str, Any]


def recipe(engine: str = "sglang", **changes: Any) -> Recipe:
    """One prefill worker and one decode worker, each of a node of 8 GPUs; sections are merged key by key."""
    base: Recipe = {
        "name": "case",
        "model": {"path": "/models/m", "container": "/images/i.sqsh", "precision": "fp8"},
        "resources": {"gpu_type": "h100", "gpus_per_node": 8, "prefill_nodes": 1, "prefill_workers": 1,
                      "decode_nodes": 1, "decode_workers": 1},
        "backend": {"type": engine},
        "benchmark": {"type": "manual"},
    }  # fmt: skip
    for key, value in changes.items():
        base[key] = base.get(key, {}) | value if isinstance(value, dict) else value
    return base


def aggregated(nodes: int, workers: int, gpus_per_node: int = 8) -> Recipe:
    """A section ``resources`` of aggregated workers, which replaces the two roles."""
    return {"gpu_type": "h100", "gpus_per_node": gpus_per_node, "agg_nodes": nodes, "agg_workers": workers}


def planned(data: Recipe, *, profile: Recipe | None = None) -> pipeline.Planned:
    """The only job of a recipe, compiled in the current directory."""
    Path("case.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    cluster = None
    if profile is not None:
        cluster = Path("profile.yaml")
        cluster.write_text(yaml.safe_dump(profile))
    (only,) = pipeline.compile_recipe("case.yaml", cluster=cluster)
    return only


def plan(data: Recipe, *, profile: Recipe | None = None) -> Plan:
    """Its plan."""
    return planned(data, profile=profile).plan


def rules(data: Recipe, *, profile: Recipe | None = None) -> list[str]:
    """The sorted rule ids of all findings for a recipe."""
    try:
        report = planned(data, profile=profile).report
    except InputError as error:
        report = error.report
    return sorted(p.rule for p in report)


def step(made: Plan, name: str) -> Step:
    """A step by name."""
    return {s.name: s for s in made.steps}[name]


def env(made: Plan, name: str) -> dict[str, str]:
    """The environment of a step, in the Plan's notation."""
    return {v.name: notation(v.value) for v in step(made, name).env}


def argv(made: Plan, name: str) -> list[str]:
    """The words of a step, in the Plan's notation."""
    return [notation(w) for w in step(made, name).argv]


def option(made: Plan, name: str, flag: str) -> str:
    """The word after a flag; KeyError where the step does not have it."""
    words = argv(made, name)
    if flag not in words:
        raise KeyError(flag)
    return words[words.index(flag) + 1]
