"""Plans of small recipes, for tests of benchmarks and profiling.

``Lab(tmp_path).plan("type: gpqa", engine="sglang")`` returns the Plan; ``lab.refused(...)`` returns the errors.
"""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from srtplan import pipeline
from srtplan.diagnostics import InputError
from srtplan.ir.plan import Plan, Run, Step
from srtplan.ir.shell import notation

SPLIT = "{gpu_type: h100, gpus_per_node: 8, prefill_nodes: 1, prefill_workers: 1, decode_nodes: 1, decode_workers: 2}"
WHOLE = "{gpu_type: h100, gpus_per_node: 8, agg_nodes: 1, agg_workers: 2, gpus_per_agg: 2}"
RECIPE = """
name: lab
model: {{path: {model}, container: /img.sqsh, precision: fp8}}
resources: {resources}
dynamo: {{install: false}}
frontend: {{type: {frontend}, enable_multiple_frontends: false}}
backend: {{type: {engine}{backend}}}
benchmark: {{{benchmark}}}
health_check: {{max_attempts: 60, interval_seconds: 1}}
{more}
"""
LADDER = "type: sa-bench, isl: 128, osl: 32, concurrencies: [2, 4]"


@frozen
class Lab:
    """Writes recipes to ``folder`` and plans them."""

    folder: Path

    def file(
        self, benchmark: str, *, engine: str = "sglang", frontend: str = "dynamo", split: bool = True, backend: str = "",
        model: str = "/models/m", more: str = "",
    ) -> Path:  # fmt: skip
        """Write a recipe."""
        text = RECIPE.format(
            model=model, resources=SPLIT if split else WHOLE, frontend=frontend, engine=engine, backend=backend,
            benchmark=benchmark, more=more,
        )  # fmt: skip
        path = self.folder / "recipe.yaml"
        path.write_text(text)
        return path

    def planned(self, benchmark: str, **kwargs: object) -> pipeline.Planned:
        """Return the plan with its warnings."""
        path = self.file(benchmark, **kwargs)  # type: ignore[arg-type]
        (only,) = pipeline.compile_recipe(str(path))
        return only

    def plan(self, benchmark: str, **kwargs: object) -> Plan:
        """Return the plan."""
        return self.planned(benchmark, **kwargs).plan

    def warned(self, benchmark: str, **kwargs: object) -> list[str]:
        """Return the rules of the warnings."""
        return [p.rule for p in self.planned(benchmark, **kwargs).report.problems]

    def refused(self, benchmark: str, **kwargs: object) -> list[tuple[str, str]]:
        """Return the rules and messages of the errors; fail the test if there are none."""
        try:
            self.plan(benchmark, **kwargs)
        except InputError as e:
            return [(p.rule, p.message) for p in e.report.errors]
        raise AssertionError("no error was reported")


def bench(plan: Plan) -> Step:
    """Return the benchmark's step."""
    return next(s for s in plan.steps if s.terminal)


def argv(run: Run) -> list[str]:
    """Return a run's words in the Plan's notation."""
    return [notation(w) for w in run.argv]


def env(step: Step) -> dict[str, str]:
    """Return a step's variables in the Plan's notation."""
    return {e.name: notation(e.value) for e in step.env}


def value(words: list[str], flag: str) -> str:
    """Return the word after a flag."""
    return words[words.index(flag) + 1]
