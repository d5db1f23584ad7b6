"""Nodes that are lost, on a real Slurm, and jobs that Slurm starts once more."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from bundles import Run
from plans import tcp
from slurm_cluster.client import Cluster, eventually
from slurm_cluster.leftovers import Leftovers
from slurmjob import ALL, judge, log, serving, start, until, until_up
from verdict import Case

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("failures")]

LOST = r"Slurm lost a node: .*"


def set_down(cluster: Cluster) -> None:
    """An administrator takes the node away."""
    cluster.run(["scontrol", "update", "nodename=node1", "state=down", "reason=test"])


def kill_slurmd(cluster: Cluster) -> None:
    """Only the daemon of the node is gone."""
    cluster.run(["pkill", "-KILL", "-x", "slurmd"], node="node1")


HOWS: dict[str, Callable[[Cluster], None]] = {
    "set down": set_down,
    "power off": lambda cluster: cluster.power_off("node1"),
    "link cut": lambda cluster: cluster.link_down("node1"),
    "slurmd gone": kill_slurmd,
}
CASES = (
    Case("ports", "node lost: set down, nothing runs there", 77, "node", LOST, seconds=10),
    *(Case("serving", f"node lost: {how}", 77, "node", LOST, seconds=45) for how in HOWS),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_lost_node_is_not_blamed_on_a_worker(raise_cluster: Callable[..., Cluster], case: Case) -> None:
    """However a node is lost, the job ends with 77, names the node, and leaves nothing on the others."""
    cluster = raise_cluster("--conf=KillWait=10", "--conf=SlurmdTimeout=4")
    leftovers = Leftovers(cluster)
    job = start(cluster, serving(probes=(tcp("nats_0", 9),)) if case.stage == "ports" else serving())
    if case.stage == "ports":
        until(job, "infra: waiting for")
    else:
        until(job, "serving")
        until_up(job, *ALL)
    since = time.monotonic()
    HOWS[case.fault.split(": ")[1].partition(",")[0]](cluster)
    until(job, "end class=", timeout=60)
    took = time.monotonic()
    left = leftovers(grace=15, of=lambda line: not line.startswith("node1: "))
    judge(job, case, since + (time.monotonic() - took), left)
    if "link cut" in case.fault:
        cluster.link_up("node1")
        assert leftovers(grace=30) == [], "Slurm ends what ran there as soon as it is back"


def attempts(run: Run) -> list[str]:
    """The attempt directories of a job."""
    return sorted(path.name for path in run.directory.parent.glob("attempt_*"))


def test_a_requeued_job_is_a_new_attempt(raise_cluster: Callable[..., Cluster]) -> None:
    """The second run has its own directory, to which `latest` points; the logs of the first stay as they were."""
    cluster = raise_cluster("--conf=KillWait=10")
    leftovers = Leftovers(cluster)
    base = tuple(line for line in serving().sbatch if line != "--no-requeue")
    job = start(cluster, serving(sbatch=(*base, "--requeue")))
    until(job, "serving")
    until_up(job, *ALL)
    first = job.directory.resolve()
    cluster.run(["scontrol", "requeue", str(job.job.id)])
    job.job.wait_for("PENDING", 30)
    assert leftovers() == []
    before = {path.name: path.read_bytes() for path in (first / "logs").iterdir()}
    assert b"end class=cancelled code=79" in before["job.log"]
    assert b"got TERM" in before["decode_0.out"]

    def starts() -> bool:
        # Slurm lets a requeued job wait for two minutes
        cluster.run(["scontrol", "update", f"jobid={job.job.id}", "starttime=now"], check=False)
        return job.job.state == "RUNNING"

    eventually(starts, 60, "the job starts again")
    eventually(lambda: len(attempts(job)) == 2, 20, "a second attempt")
    until(job, "serving")
    until_up(job, *ALL)
    assert job.directory.readlink().name == job.directory.resolve().name == "attempt_1"
    assert attempts(job) == ["attempt_0", "attempt_1"]
    assert {path.name: path.read_bytes() for path in (first / "logs").iterdir()} == before
    job.job.cancel()
    job.job.wait(timeout=30)
    assert "end class=cancelled code=79" in log(job)
    assert leftovers() == []
