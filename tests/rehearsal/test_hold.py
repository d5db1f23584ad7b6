"""Held jobs: sbatch --hold, scontrol release, scancel; on the stand-ins and on a real Slurm."""

from __future__ import annotations

import time

import pytest
from slurm_cluster.client import Cluster, Job


def held(slurm: Cluster) -> Job:
    """A job that was submitted with --hold and would say "ran"."""
    script = slurm.script("held.sh", "echo ran\n")
    return slurm.sbatch(script, "--hold", f"--output={slurm.shared}/held.out", cwd=slurm.shared)


def test_a_held_job_waits_for_its_release(slurm: Cluster) -> None:
    """Free nodes do not start it; scontrol release does."""
    job = held(slurm)
    time.sleep(1.5)
    assert (job.state, job.record["Reason"]) == ("PENDING", "JobHeldUser")
    slurm.run(["scontrol", "release", str(job.id)])
    assert job.wait(timeout=20).output == "ran\n"


def test_a_held_job_can_be_cancelled(slurm: Cluster) -> None:
    """Afterwards a release is an error, and the job never ran."""
    job = held(slurm)
    job.cancel()
    job.wait_for("CANCELLED", timeout=10)
    done = slurm.run(["scontrol", "release", str(job.id)], check=False)
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, f"Job has already finished for job {job.id}")
    assert not (slurm.shared / "held.out").exists()


@pytest.mark.parametrize("number", ["99999", "abc"])
def test_a_release_of_no_job_is_an_error(slurm: Cluster, number: str) -> None:
    """Exit code 1, and the number is named."""
    done = slurm.run(["scontrol", "release", number], check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"Invalid job id specified for job {number}",
        "slurm_suspend error: Invalid job id specified",
    ]


def test_the_job_s_file_may_move_while_it_is_held(slurm: Cluster) -> None:
    """Slurm has a copy of the script, and still names the path that was submitted."""
    job = held(slurm)
    (slurm.shared / "held.sh").rename(slurm.shared / "moved.sh")
    slurm.run(["scontrol", "release", str(job.id)])
    assert job.wait(timeout=20).output == "ran\n"
    assert job.record["Command"] == f"{slurm.shared}/held.sh"
