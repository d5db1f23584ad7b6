"""Bundles of a sample of the public recipes, with every engine, frontend, placement and benchmark, run as planned."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import mkdtemp

import pytest
from corpus import ENVIRON, PROFILE, corpus, planned
from recording import Recording, check_launch, check_task
from sample import cover, traits

from srtplan import pipeline
from srtplan.config.load import load
from srtplan.ir.plan import Plan
from srtplan.rehearsal.run import rehearse

pytestmark = [pytest.mark.corpus, pytest.mark.xdist_group("corpus")]
AT_ONCE = 3
"""Number of parallel rehearsals; a rehearsal mostly waits."""
BARE = ("dynamo.install=false", "setup_script=null", "health_check.interval_seconds=1")
"""Install nothing, run no setup script, and probe readiness every second."""

HERE = {"custom": ("benchmark.command='exit 0'",)}
"""Replacements for programs that exist only in the recipe's image."""


@pytest.fixture(scope="module")
def plans() -> Iterator[dict[str, Plan]]:
    """The plans of the sample by name."""
    whole = {name: p.plan for name, p in planned().items() if not isinstance(p, str)}
    chosen = cover(whole)
    assert set().union(*(traits(whole[n]) for n in chosen)) == set().union(*map(traits, whole.values()))
    assert len(chosen) < 25
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(corpus().parent)
        for key, value in ENVIRON.items():
            patch.setenv(key, value)
        yield {name: _bare(name, whole[name].benchmark.type) for name in chosen}


def _bare(name: str, benchmark: str) -> Plan:
    path, _, variant = name.rpartition("@")
    sets = (*BARE, *HERE.get(benchmark, ()))
    jobs = load(f"recipes/{path}", cluster=Path("recipes") / PROFILE, sets=sets).jobs
    (job,) = [j for j in jobs if str(j.recipe.source.variant) == variant]
    (made,) = pipeline.plan([job])
    return made.plan


def test_launchers_run_the_commands_of_the_plan(plans: dict[str, Plan], tmp_path: Path) -> None:
    """Options of srun, argv, environment and the runs of a benchmark equal those of plan.json."""
    seen = 0
    for number, plan in enumerate(plans.values()):
        folder = tmp_path / str(number)
        pipeline.write(pipeline.bundle(plan), folder / "the bundle")
        recording = Recording(folder / "the bundle", folder)
        for step in recording.plan["steps"]:
            check_launch(recording, step)
            check_task(recording, step)
            seen += 1
    assert seen > 60


def test_the_sample_is_rehearsed_to_success(plans: dict[str, Plan], tmp_path: Path) -> None:
    """Every job with a benchmark ends with 0, and its steps start in the order of the plan."""
    ending = {name: plan for name, plan in plans.items() if plan.benchmark.type != "manual"}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(lambda plan: starts(plan, Path(mkdtemp(dir=tmp_path))), ending.values()))
    assert len(found) > 5
    for (name, plan), started in zip(ending.items(), found, strict=True):
        assert started == [s.name for s in plan.steps], name


def starts(plan: Plan, folder: Path) -> list[str]:
    """Rehearse a job, assert that it succeeds, and return its steps in the order of their starts."""
    pipeline.write(pipeline.bundle(plan), folder / "b")
    out = io.StringIO()
    assert rehearse(folder / "b", work=folder / "out", stdout=out) == 0, (plan.name, out.getvalue()[-3000:])
    (events,) = (folder / "out").glob("*/attempt_0/events.jsonl")
    rows = [json.loads(line) for line in events.read_text().splitlines()]
    return [r["step"] for r in rows if r.get("state") == "started"]
