"""Fixtures for tests on a real Slurm: `cluster`, `leftovers`, `raise_cluster`, and `rig` for real parts.

    @pytest.mark.cluster
    def test_a_job_leaves_nothing(cluster: Cluster, leftovers: Leftovers) -> None:
        job = cluster.sbatch(cluster.script("job.sh", "srun true"), "--nodes=2")
        assert job.wait(timeout=20).exit_code == 0, job.output
        assert leftovers() == []

The cluster has four nodes with eight fake GPUs each. It is raised once per session, or a running one that
$SRTPLAN_CLUSTER names is used. Where none can run the tests are skipped with the reason; under $CI they fail.
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

# processes that left their job survive it with linuxproc, so that `leftovers` sees them; and jobs end sooner
OPTIONS = ("--proctrack=linuxproc",)


def unavailable(reason: str) -> None:
    """Skip this test, or fail it where nothing may be skipped."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def can_cluster() -> None:
    """Skip what needs a cluster where this machine cannot have one."""
    if lacks := commands.missing():
        unavailable(
            f"no Slurm here, this machine lacks: {', '.join(lacks)}; tests/rig/install brings the programs"
        )


@pytest.fixture(scope="session")
def session_cluster(can_cluster: None) -> Iterator[Cluster]:  # noqa: ARG001 (it skips)
    """Raise the cluster of this session, or take the running one that is named."""
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
    """Give a cluster of four nodes; jobs that the test leaves are cancelled after it."""
    yield session_cluster
    session_cluster.end_jobs()


@pytest.fixture
def leftovers(cluster: Cluster) -> Leftovers:
    """Look at all hosts before the test; a call returns what has been added since, once it has settled."""
    return Leftovers(cluster)


@pytest.fixture
def raise_cluster(can_cluster: None) -> Iterator[Callable[..., Cluster]]:  # noqa: ARG001 (it skips)
    """Raise clusters for tests that break nodes: `raise_cluster("--slurmd-timeout=3", nodes=2)`."""
    raised: list[Cluster] = []

    def up(*options: str, nodes: int = 2) -> Cluster:
        raised.append(Cluster.up(*OPTIONS, *options, nodes=nodes))
        return raised[-1]

    yield up
    for one in raised:
        one.down()


@pytest.fixture(scope="session")
def rig(session_cluster: Cluster) -> Rig:
    """Give the real parts: a container image with Dynamo, aiperf and more in it, and a tiny model."""
    venv = find_rig()
    if venv is None:
        unavailable("no rig of real parts here; tests/rig/install makes it")
        raise AssertionError  # not reached
    return Rig.make(session_cluster.shared / "rig", venv)
