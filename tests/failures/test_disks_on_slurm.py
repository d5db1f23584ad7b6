"""Log directories that cannot be written, on a real Slurm: full while the job serves, and read-only from the start."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import table
from busy import noise_s
from slurm_cluster.client import Cluster
from slurm_cluster.leftovers import Leftovers
from slurmjob import ALL, judge, serving, start, step_id, until, until_up
from verdict import Case

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("failures")]


@pytest.fixture
def small_disk(can_cluster: None) -> Iterator[Path]:  # noqa: ARG001 (it skips)
    """A file system of 2 MiB; it is mounted before the nodes are there, so that all of them see it."""
    folder = Path(tempfile.mkdtemp(prefix="srtplan-small-", dir="/var/tmp"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)
    folder.rmdir()


FULL = Case(
    "serving",
    "the log directory is full, a step is killed",
    74,
    "worker",
    "decode_0 on node1 ended with 137",
    seconds=5,
)


@pytest.mark.parametrize("case", [FULL], ids=lambda case: case.id)
def test_a_log_directory_that_gets_full(
    small_disk: Path, raise_cluster: Callable[..., Cluster], case: Case
) -> None:
    """A full disk does not keep the supervisor from serving, nor from noticing, stopping, and telling class and cause."""
    cluster = raise_cluster("--conf=KillWait=10")
    leftovers = Leftovers(cluster)
    job = start(cluster, serving(), env={"SRTPLAN_OUTPUT": str(small_disk)})
    job.outputs = small_disk
    until(job, "serving")
    until_up(job, *ALL)
    fill(small_disk)
    time.sleep(2)
    assert job.job.state == "RUNNING", "nobody minds while all is well"
    since = time.monotonic()
    cluster.run(["scancel", "--signal=KILL", step_id(job, "decode_0")])
    job.job.wait(timeout=40)
    took = time.monotonic()
    left = leftovers()
    assert os.statvfs(small_disk).f_bavail == 0, "it was full to the end"
    assert f"ERROR worker: {case.cause}\n" in job.job.output, "the log of Slurm's own has it"
    assert re.search(r"end class=worker code=74\n\Z", job.job.output)
    judge(job, case, since + (time.monotonic() - took), left)


def fill(folder: Path) -> None:
    """Write until the disk is full."""
    with (folder / "filler").open("wb", buffering=0) as file:
        for size in (1 << 16, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)


@pytest.mark.row("preflight", "the log directory is read-only")
def test_a_log_directory_that_is_read_only(small_disk: Path, raise_cluster: Callable[..., Cluster]) -> None:
    """Nothing can be written there: the log of Slurm's own has class and cause, and nothing was started."""
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    cluster = raise_cluster()
    leftovers = Leftovers(cluster)
    since = time.monotonic()
    job = start(cluster, serving(), env={"SRTPLAN_OUTPUT": str(small_disk)})
    job.job.wait(timeout=30)
    took = time.monotonic() - since
    assert leftovers() == []
    said = job.job.output
    assert f"ERROR preflight: cannot create the output directory {small_disk}/{job.job.id}\n" in said
    assert re.search(r"end class=preflight code=72\n\Z", said)
    assert job.job.exit_code == 72
    assert took < 8 + noise_s()
    cause = "cannot create the output directory .../ID"
    table.compare(
        table.Row(
            "preflight", "the log directory is read-only", "Slurm", "72", "preflight", cause, f"{took:.1f}"
        )
    )
