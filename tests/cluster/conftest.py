"""Fixtures for tests on a real Slurm: `cluster`, `leftovers`, `raise_cluster`, and `rig` for real parts.

    @pytest.mark.cluster
    def test_a_job_leaves_nothing(cluster: Cluster, leftovers: Leftovers) -> None:
        job = cluster.sbatch(cluster.script("job.sh", "srun true"), "--nodes=2")
        assert job.wait(timeout=20).exit_code == 0, job.output
        assert leftovers() == []

The cluster has four nodes with eight fake GPUs each. It is started once per session, unless $SRTPLAN_CLUSTER names a
running one. On a machine without Slurm the tests are skipped with a reason; under $CI they fail.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "cluster"), str(TESTS / "rig")]

from parts import Rig, find_rig  # noqa: E402 (found by the line above)
from slurm_cluster import commands  # noqa: E402
from slurm_cluster.client import Cluster  # noqa: E402
from slurm_cluster.config import DIRECTORY_VARIABLE, default_directory  # noqa: E402
from slurm_cluster.leftovers import Leftovers  # noqa: E402

# with linuxproc, detached processes survive their job, so that `leftovers` sees them, and jobs end sooner
OPTIONS = ("--proctrack=linuxproc",)


def unavailable(reason: str) -> None:
    """Skip this test, or fail it under CI."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def can_cluster() -> None:
    """Skip the test if this machine cannot run a cluster."""
    if lacks := commands.missing():
        unavailable(f"cannot start Slurm, this machine lacks: {', '.join(lacks)}; run tests/rig/install")


@pytest.fixture(scope="session")
def session_cluster(can_cluster: None) -> Iterator[Cluster]:  # noqa: ARG001 (it skips)
    """Start the cluster of this session, or use the running one that $SRTPLAN_CLUSTER names."""
    if os.environ.get(DIRECTORY_VARIABLE) and commands.is_up(default_directory()):
        cluster = Cluster(default_directory())
        yield cluster
        cluster.forget()
    else:
        cluster = Cluster.up(*OPTIONS)
        yield cluster
        cluster.down()


@pytest.fixture
def cluster(session_cluster: Cluster) -> Iterator[Cluster]:
    """A cluster of four nodes; jobs that the test leaves are cancelled."""
    yield session_cluster
    session_cluster.end_jobs()


@pytest.fixture
def leftovers(cluster: Cluster) -> Leftovers:
    """A snapshot of all hosts before the test; a call returns what a job has left since."""
    return Leftovers(cluster)


@pytest.fixture
def raise_cluster(can_cluster: None) -> Iterator[Callable[..., Cluster]]:  # noqa: ARG001 (it skips)
    """A function that starts a cluster for a test that breaks nodes: `raise_cluster("--slurmd-timeout=3", nodes=2)`."""
    raised: list[Cluster] = []

    def up(*options: str, nodes: int = 2) -> Cluster:
        raised.append(Cluster.up(*OPTIONS, *options, nodes=nodes))
        return raised[-1]

    yield up
    for one in raised:
        one.down()


@pytest.fixture(scope="session")
def rig(session_cluster: Cluster) -> Rig:
    """The real parts: a container image with Dynamo, aiperf and more, and a tiny model."""
    venv = find_rig()
    if venv is None:
        unavailable("no rig of real parts here; tests/rig/install makes it")
        raise AssertionError  # not reached
    return Rig.make(session_cluster.shared / "rig", venv)
