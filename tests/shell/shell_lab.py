"""What tests of the shell library share: bash with the library loaded, and whole jobs on the stand-in cluster."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from srtplan.bundle.render import render
from srtplan.bundle.write import write
from srtplan.ir.plan import Plan
from srtplan.plan.serialise import to_json
from srtplan.rehearsal.cluster import StandInCluster

TESTS = Path(__file__).resolve().parent.parent
TEMPLATES = TESTS.parent / "templates"
PRELUDE = f"""
set -uo pipefail
BUNDLE_DIR={TEMPLATES}
STEPS=() PROBES=() RUN_TIME_FILES=() SECRETS=() OUTPUT_BASE="" NODES=1 NETWORK_INTERFACE="" JOB_NAME=test MODEL_NAME=m
TIME_LIMIT_S=0 WARNING_S=0 STOP_TIMEOUT_S=5 PARALLEL_STARTS=32
source "${{BUNDLE_DIR}}/lib/job.sh"
"""


def bash(
    script: str, *args: str, env: dict[str, str] | None = None, cwd: Path | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[bytes]:
    """Run a script with arguments; bytes in and out."""
    return subprocess.run(
        ["bash", "-c", script, "bash", *args],
        capture_output=True,
        check=False,
        env=dict(os.environ) | (env or {}),
        cwd=cwd,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
    )


def in_library(
    script: str, *args: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a script where the supervisor's library is loaded, without a job around it."""
    return bash(PRELUDE + script, *args, env=env)


class Job:
    """A bundle made from a hand-made plan, submitted to the stand-in cluster."""

    def __init__(self, cluster: StandInCluster, folder: Path, plan: Plan, env: dict[str, str]) -> None:
        self.cluster = cluster
        self.folder = folder
        write(render(plan, {"plan.json": to_json(plan)}), folder / "bundle")
        environment = {"SRTPLAN_OUTPUT": str(folder / "out"), **env}
        done = cluster.run(
            ["sbatch", "--parsable", f"--output={folder}/job.log", f"{folder}/bundle/job.sh"],
            cwd=folder,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
        self.id = done.stdout.strip()

    @property
    def log(self) -> str:
        """What job.sh printed so far."""
        path = self.folder / "job.log"
        return path.read_text() if path.exists() else ""

    @property
    def run_dir(self) -> Path:
        """The directory of the last attempt."""
        return (self.folder / "out" / self.id / "latest").resolve()

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events so far."""
        return [json.loads(line) for line in (self.run_dir / "events.jsonl").read_text().splitlines()]

    @property
    def status(self) -> dict[str, Any]:
        """The present status."""
        return dict(json.loads((self.run_dir / "status.json").read_text()))

    def await_line(self, text: str, timeout: float = 30) -> None:
        """Wait until the log says something."""
        end = time.monotonic() + timeout
        while text not in self.log:
            assert time.monotonic() < end, f"no {text!r} in:\n{self.log}"
            time.sleep(0.05)

    def await_running(self, steps: int, timeout: float = 30) -> None:
        """Wait until so many steps have told their ids."""
        end = time.monotonic() + timeout
        while sum(e.get("state") == "running" for e in self.events) < steps:
            assert time.monotonic() < end, self.log
            time.sleep(0.05)

    def signal(self, name: str) -> None:
        """Send a signal to job.sh alone."""
        done = self.cluster.run(["scancel", "--batch", f"--signal={name}", self.id])
        assert done.returncode == 0, done.stderr

    def wait(self, timeout: float = 60) -> int:
        """Wait for the end and return the exit code of job.sh; nothing of the job may be left."""
        job = self.cluster.state.job(self.id)
        assert job is not None
        end = time.monotonic() + timeout
        while not job.is_over:
            assert time.monotonic() < end, f"job {job.state} after {timeout} s:\n{self.log}"
            time.sleep(0.05)
        assert job.live_steps() == []
        last = self.log.rstrip().rpartition("code=")[2]
        return int(last)


class Lab:
    """Makes jobs and cleans up after them."""

    def __init__(self, cluster: StandInCluster, folder: Path) -> None:
        self.cluster = cluster
        self.folder = folder
        self.jobs: list[Job] = []

    def submit(self, plan: Plan, **env: str) -> Job:
        """Submit a plan; keywords are environment variables of the submission."""
        folder = self.folder / f"job{len(self.jobs)}"
        folder.mkdir()
        job = Job(self.cluster, folder, plan, env)
        self.jobs.append(job)
        return job

    def run(self, plan: Plan, **env: str) -> tuple[int, Job]:
        """Submit a plan and wait for its end."""
        job = self.submit(plan, **env)
        return job.wait(), job
