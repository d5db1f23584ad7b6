"""Fixtures of the rehearsal's tests: a cluster of stand-ins that looks like the real one of tests/cluster.

`slurm` is parametrised: the same assertions run on the stand-ins and, marked `cluster`, on a real Slurm.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from stand_in_slurm.cluster import StandInCluster

from srtplan.rehearsal import network

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "bundle"), str(TESTS / "cluster"), str(TESTS / "rehearsal")]

from leftovers_here import Nothing  # noqa: E402 (found by the line above)
from programs import Programs  # noqa: E402
from slurm_cluster import commands  # noqa: E402
from slurm_cluster.client import Cluster  # noqa: E402
from stand_in import StandIn  # noqa: E402

KILL_WAIT_S = 2


def unavailable(reason: str) -> None:
    """Skip this test, or fail it where nothing may be skipped."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def stand_in_cluster() -> Iterator[StandIn]:
    """Raise the stand-ins once; afterwards nothing of them may be left."""
    folder = Path(tempfile.mkdtemp(prefix="srtplan-standins-"))
    (folder / "shared").mkdir()
    with StandInCluster(folder / "cluster", 4, settings={"kill_wait": str(KILL_WAIT_S)}) as inner:
        yield StandIn(inner, folder / "shared")
    assert not inner.leftovers()
    assert not network.listeners(inner.block.number)
    shutil.rmtree(folder)


@pytest.fixture
def stand_in(stand_in_cluster: StandIn) -> Iterator[StandIn]:
    """Give the stand-ins; jobs that the test leaves are cancelled after it, and its files removed."""
    yield stand_in_cluster
    stand_in_cluster.end_jobs()
    for path in stand_in_cluster.shared.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture(scope="session")
def real_cluster() -> Iterator[Cluster]:
    """Raise a real Slurm, or skip."""
    if lacks := commands.missing():
        unavailable(f"no Slurm here, this machine lacks: {', '.join(lacks)}")
    cluster = Cluster.up(f"--conf=KillWait={KILL_WAIT_S}")
    yield cluster
    cluster.down()


@pytest.fixture(params=["stand-in", pytest.param("real", marks=pytest.mark.cluster)])
def slurm(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Give the stand-ins, then the real Slurm."""
    if request.param == "stand-in":
        yield request.getfixturevalue("stand_in")
        return
    cluster: Cluster = request.getfixturevalue("real_cluster")
    yield cluster
    cluster.end_jobs()
    for path in cluster.shared.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture
def nothing(monkeypatch: pytest.MonkeyPatch) -> Nothing:
    """Mark what the test starts, to see whether anything of it is left."""
    made = Nothing()
    monkeypatch.setenv(*made.mark.split("="))
    return made


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    """Give nodes on which simulated programs can be started; they end with the test."""
    made = Programs(tmp_path)
    yield made
    made.close()
