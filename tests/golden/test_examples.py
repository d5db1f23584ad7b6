"""Every example runs in the rehearsal, and every plugin has an example or a golden case of its own."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import pytest

from srtplan import pipeline, plugin
from srtplan.rehearsal import rehearse

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_runs_to_its_end(path: Path, tmp_path: Path) -> None:
    """An example's bundle, rehearsed, ends with success; one that serves is ended by its time limit, in order."""
    sets = ("health_check.interval_seconds=1",)
    (only,) = pipeline.compile_recipe(str(path), sets=sets)
    pipeline.write(pipeline.bundle(only.plan), tmp_path / "bundle")
    serves = not any(s.terminal for s in only.plan.steps)
    with (tmp_path / "said").open("w") as said:
        code = rehearse(
            tmp_path / "bundle", work=tmp_path / "runs", stdout=said, timeout=6 if serves else None
        )
    assert code == (78 if serves else 0), (tmp_path / "said").read_text()
    (status,) = (json.loads(p.read_text()) for p in (tmp_path / "runs").glob("*/attempt_0/status.json"))
    assert status["class"] == ("time_limit" if serves else "success")


def test_every_engine_frontend_and_service_has_an_example() -> None:
    """A plugin that no example uses would have no golden case."""
    plans = [pipeline.compile_recipe(str(p))[0].plan for p in EXAMPLES]
    steps = {s.name for plan in plans for s in plan.steps}
    assert {plan.engine for plan in plans} == set(plugin.names("engine"))
    assert {plan.frontend for plan in plans} == set(plugin.names("frontend"))
    assert {"nats", "etcd"} <= steps


@pytest.mark.parametrize("kind", ["engine", "frontend", "benchmark"])
def test_plugins_keep_the_contract(kind: plugin.Kind) -> None:
    """A plugin is named as its file, and its options are an attrs class that can be made without arguments."""
    for name in plugin.names(kind):
        made = plugin.get(kind, name)
        assert made.name == name
        assert attrs.has(made.options)
        assert made.options() == made.options()
