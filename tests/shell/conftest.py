"""Fixtures for tests of the shell library."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "bundle"), str(TESTS / "shell")]

from shell_lab import Lab  # noqa: E402 (found by the line above)

from srtplan.rehearsal.cluster import StandInCluster  # noqa: E402


@pytest.fixture(scope="session")
def stand_ins() -> Iterator[StandInCluster]:
    """Two stand-in nodes for all tests."""
    folder = Path(tempfile.mkdtemp(prefix="srtplan-shell-"))
    with StandInCluster(folder / "cluster", 2, settings={"kill_wait": "5"}) as cluster:
        yield cluster
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def lab(stand_ins: StandInCluster, tmp_path: Path) -> Iterator[Lab]:
    """A place to run jobs; what a test leaves running is cancelled."""
    made = Lab(stand_ins, tmp_path)
    yield made
    for job in made.jobs:
        stand_ins.run(["scancel", job.id])
