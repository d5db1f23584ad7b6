"""Fixtures of the submission tests."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "submit"), str(TESTS / "shell")]

from site_of_stand_ins import RECIPE, Site  # noqa: E402 (found by the line above)
from stand_in_slurm.cluster import StandInCluster  # noqa: E402

from srtplan import pipeline  # noqa: E402
from srtplan.plan.show.serialise import to_json  # noqa: E402


@pytest.fixture(scope="session")
def stand_ins() -> Iterator[StandInCluster]:
    """A stand-in cluster of two nodes, shared by all tests."""
    folder = Path(tempfile.mkdtemp(prefix="srtplan-submit-"))
    (folder / "recipe.yaml").write_text(RECIPE)
    (job,) = pipeline.compile_recipe(str(folder / "recipe.yaml"))
    plan = json.loads(to_json(job.plan))
    with StandInCluster(folder / "cluster", 2, settings={"kill_wait": "5"}, plan=plan) as cluster:
        yield cluster
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def site(stand_ins: StandInCluster, tmp_path: Path) -> Iterator[Site]:
    """A site to submit from; jobs that a test leaves in the queue are cancelled."""
    site = Site(stand_ins, tmp_path)
    yield site
    site.close()
