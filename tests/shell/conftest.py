"""Fixtures for tests of the shell library. Jobs run on the stand-ins and, marked `cluster`, on a real Slurm."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "bundle"), str(TESTS / "cluster"), str(TESTS / "shell")]

from shell_lab import Lab, StandIns  # noqa: E402 (found by the line above)
from slurm_cluster import commands  # noqa: E402
from slurm_cluster.client import Cluster  # noqa: E402
from stand_in_slurm.cluster import StandInCluster  # noqa: E402

KILL_WAIT_S = 5


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Under another bash than the machine's, keep the first and the last variant of each test (test_bash_versions.py)."""
    if "SRTPLAN_TEST_BASH" not in os.environ:
        return
    variants: dict[tuple[Path, str], list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("cluster") is None:
            variants.setdefault((item.path, getattr(item, "originalname", item.name)), []).append(item)
    kept = {id(item) for of_test in variants.values() for item in (of_test[0], of_test[-1])}
    config.hook.pytest_deselected(items=[item for item in items if id(item) not in kept])
    items[:] = [item for item in items if id(item) in kept]


@pytest.fixture(scope="session")
def stand_ins() -> Iterator[StandIns]:
    """Two stand-in nodes for all tests."""
    folder = Path(tempfile.mkdtemp(prefix="srtplan-shell-"))
    (folder / "shared").mkdir()
    with StandInCluster(folder / "cluster", 2, settings={"kill_wait": str(KILL_WAIT_S)}) as cluster:
        yield StandIns(cluster, folder / "shared")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def real() -> Iterator[Cluster]:
    """Two nodes of a real Slurm, or the reason why there is none."""
    if lacks := commands.missing():
        reason = f"no Slurm here, this machine lacks: {', '.join(lacks)}"
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    cluster = Cluster.up("--proctrack=linuxproc", f"--conf=KillWait={KILL_WAIT_S}", nodes=2)
    yield cluster
    cluster.down()


@pytest.fixture
def stand_in_lab(stand_ins: StandIns) -> Iterator[Lab]:
    """A place to run jobs on the stand-ins only, for tests that need this machine's own addresses."""
    yield from _lab(stand_ins)


@pytest.fixture(params=["stand-in", pytest.param("real", marks=pytest.mark.cluster)])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A place to run jobs; jobs that a test leaves running are cancelled."""
    yield from _lab(request.getfixturevalue("stand_ins" if request.param == "stand-in" else "real"))


def _lab(cluster: Cluster) -> Iterator[Lab]:
    folder = Path(tempfile.mkdtemp(dir=cluster.shared))
    yield Lab(cluster, folder)
    cluster.end_jobs()
    shutil.rmtree(folder, ignore_errors=True)
