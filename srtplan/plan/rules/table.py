"""The table of rules on whole recipes, in the order in which they run.

In: a Recipe, and the names of its invalid sections. Out: findings. A rule that reads an invalid section is skipped. Rules
on single sections are in ``config/rules``; the rules of a plugin are its ``check``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from srtplan.diagnostics import Finding
from srtplan.ir.recipe import Recipe
from srtplan.plan.rules import image_content, model, mounts, placement, plugins, profiling, unused_settings

Rule = Callable[[Recipe], Iterable[Finding]]
BENCHMARK_SECTIONS = frozenset(("benchmark", "engine", "resources"))
SECTION_ONLY = ("SP701", "SP702")
"""Rules of a benchmark that read only its own section."""
RULES: tuple[tuple[frozenset[str], Rule], ...] = (
    (frozenset(("engine", "frontend")), plugins.pair),
    (frozenset(("engine", "frontend", "resources", "infra")), plugins.services),
    (frozenset(("engine", "resources")), plugins.engine),
    (frozenset(("frontend", "resources")), plugins.frontend),
    (BENCHMARK_SECTIONS, plugins.benchmark),
    (frozenset(("profiling", "benchmark", "engine", "resources")), profiling.check),
    (frozenset(("benchmark",)), plugins.result_gate),
    (frozenset(("engine", "frontend", "benchmark", "infra", "resources")), placement.check),
    (
        frozenset(("engine", "frontend", "benchmark", "infra", "dynamo", "profiling", "resources")),
        unused_settings.check,
    ),
    (frozenset(("model", "environment")), model.check),
    (frozenset(("model",)), mounts.check),
    (frozenset(("model", "frontend", "dynamo")), image_content.check),
)
"""Each rule with the sections that it reads."""


def check(recipe: Recipe, invalid: frozenset[str] = frozenset()) -> tuple[Finding, ...]:
    """Return the findings of every rule that reads no ``invalid`` section."""
    found = [f for sections, rule in RULES if not invalid & sections for f in rule(recipe)]
    if invalid & BENCHMARK_SECTIONS and "benchmark" not in invalid:
        found += (f for f in plugins.benchmark(recipe) if f.rule in SECTION_ONLY)
    return tuple(found)
