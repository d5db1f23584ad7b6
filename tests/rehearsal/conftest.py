"""Fixtures of the rehearsal's tests: a cluster of stand-ins that looks like the real one of tests/cluster.

`slurm` is parametrised: the same assertions run on the stand-ins and, marked `cluster`, on a real Slurm.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from srtplan.rehearsal import StandInCluster, network, processes

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "cluster"), str(TESTS / "rehearsal")]

from slurm_cluster import commands  # noqa: E402 (found by the line above)
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


class Nothing:
    """What must be true after a rehearsal: no process of it, no port in its addresses."""

    def __init__(self) -> None:
        self.before = self._stand_ins()

    @staticmethod
    def _stand_ins() -> set[int]:
        return {pid for pid in processes.table() if b"rehearsal/start.py" in _command(pid)}

    def is_left(self, timeout: float = 5.0) -> bool:
        """Tell whether, after a moment, nothing has been added since the fixture was made."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if not self._stand_ins() - self.before:
                return True
            time.sleep(0.05)
        return False


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.fixture
def nothing(stand_in_cluster: StandIn) -> Nothing:  # noqa: ARG001 (its controller counts as there before)
    """Look at the processes of rehearsals before the test."""
    return Nothing()
