"""All public recipes load, with the same names and GPUs as in srtctl."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from corpus import ENVIRON, corpus, oracle, recipes

from srtplan.config import Job, load
from srtplan.diagnostics import InputError, Problem

pytestmark = pytest.mark.corpus

GSM8K = "qwen3.5/fp8/disagg/mooncake/stp_prefix_off/1p1d-dep4tp4-staging-gsm8k-bench.yaml"
REFUSED = {GSM8K: "unknown benchmark type 'gsm8k-bench'"}
"""Recipes that srtctl cannot run either, and their errors."""
PARTIAL = ("gb200-fp8/8k1k/low-latency.yaml", "base")
"""A base without decode workers. srtctl can render it, but its preflight refuses it."""
IGNORED = {"identity": 7, "observability.build_dashboard": 1, "observability.tachometer": 1}
"""Parts that only srtctl supports, and the number of recipes that set them."""


def loaded(name: str, folder: Path) -> tuple[tuple[Job, ...], list[Problem]]:
    """Return jobs and problems of a recipe of the corpus."""
    try:
        result = load(name, cwd=folder, environ=ENVIRON)
    except InputError as error:
        return (), list(error.report)
    return result.jobs, list(result.warnings)


@pytest.fixture(scope="module")
def everything() -> dict[str, tuple[tuple[Job, ...], list[Problem]]]:
    """The jobs and problems of every recipe of the corpus."""
    folder = corpus()
    return {name: loaded(name, folder) for name in recipes()}


def test_every_recipe_loads(everything: dict[str, tuple[tuple[Job, ...], list[Problem]]]) -> None:
    """srtplan refuses only the recipes that srtctl refuses, too."""
    assert len(everything) > 300
    refused = {n: "; ".join(p.message for p in ps) for n, (jobs, ps) in everything.items() if not jobs}
    assert refused == REFUSED


def test_warnings_are_few_and_known(everything: dict[str, tuple[tuple[Job, ...], list[Problem]]]) -> None:
    """Real recipes have few warnings: unused GPUs, keys of other benchmarks, and parts that only srtctl supports."""
    found = Counter(p.rule for _, ps in everything.values() for p in ps if p.severity == "warning")
    assert found == {"SP133": sum(IGNORED.values()), "SP115": 4}


def facts() -> list[Path]:
    """Return the files of recorded facts, one per job."""
    return sorted(oracle().glob("*@*.json")) + sorted(oracle().glob("*.yaml.json"))


def test_names_variants_and_gpus_match_srtctl(
    everything: dict[str, tuple[tuple[Job, ...], list[Problem]]],
) -> None:
    """Each recorded job has the same variant and name, and its workers have as many GPUs."""
    folder, compared = corpus(), 0
    for path in facts():
        fact = json.loads(path.read_text())
        name, variant = fact["recipe"].removeprefix("recipes/"), fact["variant"]
        name = name if (folder / name).is_file() else fact["recipe"]
        if fact["status"] != "ok" or name in REFUSED or (name, variant) == PARTIAL:
            continue
        jobs = everything[name][0] if variant != "base" else loaded(f"{name}:base", folder)[0]
        (job,) = (j for j in jobs if j.recipe.source.variant == variant)
        assert job.recipe.name == fact["name"]
        gpus = [(r.mode, r.gpus) for r in job.recipe.resources.roles for _ in range(r.workers)]
        assert gpus == [(e["mode"], len(e["nodes"]) * len(e["gpus"])) for e in fact["endpoints"]], path.name
        compared += 1
    assert compared > 300
