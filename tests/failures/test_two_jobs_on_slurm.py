"""Two jobs at once on the same nodes of a real Slurm, with the real nats-server and etcd."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve
from breakable import RECIPE, SMALL
from bundles import Run
from plans import benchmark, run, sequence
from slurm_cluster.client import Cluster, eventually
from slurm_cluster.leftovers import Leftovers
from slurmjob import STOP_S, judge, log, start, stop, tells, until
from verdict import Case

from srtplan import pipeline
from srtplan.ir.plan import Plan
from srtplan.ir.shell import words

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("failures")]

ALONE = (
    "--nodes=2",
    "--nodelist=node[0-1]",
    "--ntasks-per-node=1",
    "--time=10",
    "--oversubscribe",
    "--no-requeue",
)

LATE = 'sleep "$0"; exec "$@"'


@pytest.fixture(scope="module")
def two_nodes(can_cluster: None) -> Iterator[Cluster]:  # noqa: ARG001 (it skips)
    """A site that lets jobs share nodes."""
    made = Cluster.up("--proctrack=linuxproc", "--conf=KillWait=10", nodes=2)
    yield made
    made.down()


@pytest.fixture
def slurm(two_nodes: Cluster) -> Iterator[Cluster]:
    """The cluster; what a test leaves is cancelled."""
    yield two_nodes
    two_nodes.end_jobs()


def shared(folder: Path, *, offset: int = 0, late_s: int = 0, is_benchmark: bool = False) -> Plan:
    """The example's own NATS and etcd, and plain steps for the rest; both may be late, and are then not looked for by preflight."""
    site = folder / "site.yaml"
    site.write_text("runtime: none\noutput_dir: null\n")
    options = pipeline.Options(port_offset=offset)
    (made,) = pipeline.compile_recipe(RECIPE, cluster=site, sets=SMALL, options=options)
    plan = made.plan
    own = {step.name: step for step in plan.steps if step.stage == "infra"}
    checks = tuple(check for check in plan.preflight if check.kind == "port" and check.why in own)
    assert set(own) == {"nats", "etcd"}
    assert len(checks) >= 3
    if late_s:
        for name, seconds in (("nats", late_s), ("etcd", 3 * late_s)):
            own[name] = evolve(own[name], argv=(*words("bash", "-c", LATE, seconds), *own[name].argv))
        checks = ()
    load = (benchmark(run("b", "sleep", "3")),) if is_benchmark else ()
    steps = (*own.values(), tells("prefill_0", "worker", 0), tells("decode_0", "worker", 1), *load)
    return evolve(
        plan,
        sbatch=("--job-name=shared", *ALONE),
        steps=steps,
        sequence=sequence(steps),
        probes=tuple(probe for probe in plan.probes if probe.step in own),
        preflight=checks,
        stop_timeout_s=STOP_S,
    )


def test_two_jobs_with_an_offset_between_them_both_succeed(slurm: Cluster, tmp_path: Path) -> None:
    """Each talks to its own servers, by their names; nothing of either is left."""
    leftovers = Leftovers(slurm)
    jobs = [start(slurm, shared(tmp_path, offset=n, is_benchmark=True)) for n in (0, 100)]
    eventually(lambda: all(job.job.state == "RUNNING" for job in jobs), 30, "both run")
    for job in jobs:
        job.job.wait(timeout=60)
    ends = [job.job.record for job in jobs]
    assert ends[0]["StartTime"] <= ends[1]["StartTime"] < ends[0]["EndTime"], "they ran at the same time"
    for job in jobs:
        assert (job.status["code"], job.status["class"]) == (0, "success"), log(job)
        said = (job.directory / "logs" / "nats.out").read_text()
        assert f"Name:     srtplan-{job.job.id}" in said, said
    assert leftovers() == []


@pytest.mark.row("preflight", "another job has the ports")
def test_without_an_offset_the_second_job_is_refused(slurm: Cluster, tmp_path: Path) -> None:
    """It names the port and who holds it, and does the first job no harm."""
    leftovers = Leftovers(slurm)
    one = start(slurm, shared(tmp_path))
    until(one, "serving")
    since = time.monotonic()
    other = start(slurm, shared(tmp_path))
    other.job.wait(timeout=30)
    took = time.monotonic()
    assert not any(event["event"] == "step" for event in other.events)
    left = end_first(slurm, one, leftovers)
    cause = r"node0: port 4222 \(nats\) is in use by nats-server \(pid \d+\)"
    case = Case("preflight", "another job has the ports", 72, "preflight", cause, seconds=10)
    judge(other, case, since + (time.monotonic() - took), left)


@pytest.mark.row("ports", "another job's NATS answers")
def test_another_jobs_nats_is_not_taken_for_ours(slurm: Cluster, tmp_path: Path) -> None:
    """Even where no preflight looked and our own server is slow: nothing of ours is started with theirs."""
    leftovers = Leftovers(slurm)
    one = start(slurm, shared(tmp_path))
    until(one, "serving")
    other = start(slurm, shared(tmp_path, late_s=4))
    until(other, "nats (the server does not belong to this job)")
    since = time.monotonic()
    other.job.wait(timeout=40)
    took = time.monotonic()
    assert {event["step"] for event in other.events if event["event"] == "step"} <= {"nats", "etcd"}
    left = end_first(slurm, one, leftovers)
    case = Case("ports", "another job's NATS answers", 73, "infra", "nats on node0 ended with 1", seconds=14)
    judge(other, case, since + (time.monotonic() - took), left)


def end_first(cluster: Cluster, one: Run, leftovers: Leftovers) -> list[str]:
    """End the job that was there first, which has come to no harm; return what the two have left."""
    assert one.job.state == "RUNNING"
    stop(cluster, one)
    one.job.wait(timeout=30)
    assert one.status["class"] == "cancelled", log(one)
    return leftovers()
