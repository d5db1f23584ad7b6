"""The public recipes: all that srtctl accepts compile, to the same commands except for documented differences."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import shellcheck
from corpus import oracle, planned

from srtplan import pipeline
from srtplan.plan.topology.allocate import AllocationError, Group, allocate

pytestmark = [pytest.mark.corpus, pytest.mark.xdist_group("corpus")]  # compiled once
ROOT = Path(__file__).parents[1]
REJECTED = {
    "examples/example-override.yaml@tp64",
    "examples/example-override.yaml@tp_sweep_0",
    "examples/example-override.yaml@tp_sweep_1",
    "examples/example-override.yaml@tp_sweep_2",
    "b200-fp8/8k1k.yaml@base",
    "b200-fp8/glm5.yaml@base",
    "gb200-fp8/8k1k/low-latency.yaml@base",
    "qwen3.5/fp8/disagg/mooncake/stp_prefix_off/1p1d-dep4tp4-staging-gsm8k-bench.yaml@None",
}
"""Recipes that are rejected, each with a reason in docs/explanation/differences.md."""


@pytest.fixture(scope="module")
def jobs() -> Mapping[str, pipeline.Planned | str]:
    """All jobs of the corpus: plans, or the text of the errors."""
    return planned()


def test_all_recipes_without_errors_compile(jobs: Mapping[str, pipeline.Planned | str]) -> None:
    """Exactly the recipes listed in docs/explanation/differences.md are rejected."""
    assert {name: text for name, text in jobs.items() if isinstance(text, str) and name not in REJECTED} == {}
    assert {name for name, plan in jobs.items() if isinstance(plan, str)} == REJECTED
    assert len(jobs) > 350


def test_recipes_run_what_srtctl_runs(jobs: Mapping[str, pipeline.Planned | str], tmp_path: Path) -> None:
    """All differences are allowed by a rule of docs/explanation/differences.json, and every rule is used."""
    compare = oracle().parent / "tools" / "compare_facts.py"
    for name, job in jobs.items():
        if not isinstance(job, str):
            bundle = pipeline.bundle(job.plan)
            folder = tmp_path / name.replace("/", "__")
            for file in bundle.files:
                if file.path == "plan.json" or file.path.startswith("files/"):
                    (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
                    (folder / file.path).write_bytes(file.content)
    rules = ROOT / "docs" / "explanation" / "differences.json"
    argv = [sys.executable, compare, "--oracle", oracle(), "--allow", rules, tmp_path]
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    assert "rules that allowed nothing" not in done.stdout


def test_every_difference_is_explained() -> None:
    """Each rule of docs/explanation/differences.json names a row of docs/explanation/differences.md."""
    page = (ROOT / "docs" / "explanation" / "differences.md").read_text()
    for rule in json.loads((ROOT / "docs" / "explanation" / "differences.json").read_text()):
        assert f"| {rule['why'].partition(':')[0]} |" in page, rule


def test_allocation_agrees_with_the_recorded_grid() -> None:
    """Every recorded case has the same placement; overlaps and workers on partial nodes are errors instead."""
    seen = {"same": 0, "error": 0, "overlap": 0, "not whole": 0}
    for line in (oracle() / "allocation-grid.jsonl").read_text().splitlines():
        case = json.loads(line)
        a = case["args"]
        groups = [Group(m, a[f"num_{m}"], a[f"gpus_per_{m}"]) for m in ("prefill", "decode", "agg")]
        try:
            made = allocate(groups, gpus_per_node=a["gpus_per_node"], nodes=range(a["nodes"]))
        except AllocationError as e:
            kind = "overlap" if case["gpu_overlap"] else "not whole" if case["gpu_count_differs"] else "error"
            assert kind != "error" or case["endpoints"] is None, (a, str(e))
            assert kind != "overlap" or "would both use GPU" in str(e)
        else:
            kind = "same"
            assert [[e.mode, e.index, list(e.nodes), list(e.gpus)] for e in made] == case["endpoints"], a
        seen[kind] += 1
    assert min(seen.values()) > 0, seen


def test_every_bundle_is_clean_shell(jobs: Mapping[str, pipeline.Planned | str], tmp_path: Path) -> None:
    """Every job.sh and launcher of the corpus passes bash -n and ShellCheck with the optional checks.

    Of launchers that differ only in numbers, one is checked.
    """
    seen: dict[str, Path] = {}
    for name, job in jobs.items():
        if isinstance(job, str):
            continue
        for file in pipeline.bundle(job.plan).files:
            if file.path == "job.sh" or file.path.startswith("steps/"):
                text = file.content.decode()
                path = tmp_path / f"{len(seen)}.sh"
                if seen.setdefault(re.sub(r"\d+", "0", text), path) is path:
                    path.write_text(f"#!/bin/bash\n# {name} {file.path}\n{text.partition(chr(10))[2]}")
    files = list(seen.values())
    assert len(files) > 500
    assert shellcheck.syntax(files) == ""
    assert shellcheck.alone(files) == ""
