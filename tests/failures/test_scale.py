"""Many steps: a rack's 128 on a real Slurm of 18 nodes, and 512 in the rehearsal."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve
from plans import nats, plan, worker
from slurm_cluster.client import Cluster, eventually
from slurm_cluster.leftovers import Leftovers
from slurmjob import log, start, step_id
from trials import Trial
from verdict import noise_s

from bench.scale import job as crowd
from srtplan.bundle.render import render
from srtplan.bundle.write import write
from srtplan.plan.show.serialise import to_json


@pytest.mark.cluster
@pytest.mark.xdist_group("failures")
def test_a_rack_of_steps_starts_and_ends_together(raise_cluster: Callable[..., Cluster]) -> None:
    """128 steps on 18 nodes: one that dies ends all of them, in seconds, and nothing is left."""
    cluster = raise_cluster("--conf=KillWait=30", nodes=18)
    leftovers = Leftovers(cluster)
    run = start(cluster, crowd(18, 128))
    known = run.directory / "run" / "steps"
    eventually(lambda: len(list(known.glob("*.id"))) == 128, 120, "all steps run")
    since = time.monotonic()
    cluster.run(["scancel", "--signal=KILL", step_id(run, "w_77")])
    run.job.wait(timeout=60)
    took = time.monotonic() - since
    assert run.status["cause"] == f"w_77 on node{77 % 18} ended with 137", log(run)
    ended = [event["step"] for event in run.events if event.get("state") == "ended"]
    assert len(ended) == len(set(ended)) == 128
    assert "killing steps that did not stop" not in log(run)
    assert took < 20 + 2 * noise_s(), log(run)
    assert leftovers() == []


def test_hundreds_of_steps_in_the_rehearsal(tmp_path: Path) -> None:
    """512 steps start in waves, and one that dies ends all of them: each end is noticed, each but one is gentle."""
    made = plan(nats(), *(worker(f"w_{n}", n % 2) for n in range(511)), preflight=(), stop_timeout_s=60)
    made = evolve(made, sbatch=("--job-name=crowd", "--nodes=2", "--time=30"), time_limit_s=1800, warning_s=0)
    write(render(made, {"plan.json": to_json(made)}), tmp_path / "bundle")
    with Trial(tmp_path / "bundle", tmp_path / "trial", kill_wait=60) as trial:
        trial.until(lambda: len(list((trial.run_dir / "run" / "steps").glob("*.id"))) == 512, "all run", 240)
        trial.kill_step("w_400")
        outcome = trial.wait(120)
        ended = [event["step"] for event in trial.events if event.get("state") == "ended"]
    assert (outcome.code, outcome.group) == (74, "worker"), outcome.log[-3000:]
    assert outcome.cause == "w_400 on node0 ended with 137"
    assert len(ended) == len(set(ended)) == 512
    assert re.findall(r"^(\w+) .* 137$", outcome.log, re.MULTILINE) == ["w_400"]
    assert outcome.left == ()
