"""A lost node on a real Slurm has its own class, whatever srun exits with."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from plans import frontend, nats, plan, worker
from shell_lab import Lab
from slurm_cluster.client import Cluster


@pytest.fixture
def fragile(real: Cluster) -> Iterator[Cluster]:
    """A cluster for one test, because the test loses a node."""
    del real  # it skips where there can be none
    cluster = Cluster.up("--proctrack=linuxproc", "--conf=KillWait=5", "--slurmd-timeout=5", nodes=2)
    yield cluster
    cluster.down()


@pytest.mark.cluster
@pytest.mark.parametrize("directive", ["--no-requeue", "--no-kill"])
@pytest.mark.parametrize("how", ["administrator", "power"])
def test_a_lost_node_is_the_cause(fragile: Cluster, directive: str, how: str) -> None:
    """The class is node, whether Slurm ends the whole job or only the srun of the node, with 0."""
    lab = Lab(fragile, Path(tempfile.mkdtemp(dir=fragile.shared)))
    job = lab.submit(
        plan(nats(), worker("decode_0", 1), frontend(), sbatch=("--nodes=2", "--time=10", directive))
    )
    job.await_line("serving acme/tiny")
    job.await_running(3)
    if how == "power":
        fragile.power_off("node1")
    else:
        fragile.run(["scontrol", "update", "nodename=node1", "state=down", "reason=test"])
    job.await_line("end class=", timeout=60)
    assert "end class=node code=77" in job.log
    assert "Slurm lost a node" in job.status["cause"]
