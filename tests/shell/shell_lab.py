"""Helpers for tests of the shell library: bash with the library loaded, and whole jobs on the stand-in cluster."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from busy import patient
from slurm_cluster.client import Cluster
from slurm_cluster.client import Job as SlurmJob
from stand_in_slurm.cluster import StandInCluster

from srtplan.bundle.render import render
from srtplan.bundle.write import write
from srtplan.ir.plan import Plan
from srtplan.plan.show.serialise import to_json

TESTS = Path(__file__).resolve().parent.parent
TEMPLATES = TESTS.parent / "templates"
PRELUDE = f"""
set -uo pipefail
BUNDLE_DIR={TEMPLATES}
STEPS=() PROBES=() RUN_TIME_FILES=() SECRETS=() REPORT_TO=() OUTPUT_BASE="" COMPONENTS=(1) NETWORK_INTERFACE="" JOB_NAME=test MODEL_NAME=m
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
        timeout=patient(timeout),
        stdin=subprocess.DEVNULL,
    )


def in_library(
    script: str, *args: str, env: dict[str, str] | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[bytes]:
    """Run a script with the supervisor's library loaded, without a job."""
    return bash(PRELUDE + script, *args, env=env, timeout=timeout)


class StandIns(Cluster):
    """The stand-ins of the rehearsal behind the interface of the real cluster."""

    def __init__(self, inner: StandInCluster, shared: Path) -> None:
        self.inner = inner
        self.nodes = [node.name for node in inner.state.nodes()]
        self.shared = shared
        self.jobs = []

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        node: str = "",
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as on the login host."""
        assert not node, "the stand-ins have no shell on a node"
        words = [str(word) for word in argv]
        done = self.inner.run(words, cwd=cwd or self.shared, env=dict(env or {}), timeout=patient(timeout))
        assert not (check and done.returncode), f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done


class Job:
    """A bundle's job.sh, submitted."""

    def __init__(self, slurm: SlurmJob, bundle: Path, output: Path, log: Path) -> None:
        self.slurm, self.bundle, self.output, self._log = slurm, bundle, output, log

    @property
    def id(self) -> int:
        """The number of the job."""
        return self.slurm.id

    @property
    def log(self) -> str:
        """What job.sh printed so far."""
        return self._log.read_text() if self._log.exists() else ""

    @property
    def run_dir(self) -> Path:
        """The directory of the last attempt."""
        return (self.output / str(self.slurm.id) / "latest").resolve()

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events so far."""
        return [json.loads(line) for line in (self.run_dir / "events.jsonl").read_text().splitlines()]

    @property
    def status(self) -> dict[str, Any]:
        """The present status."""
        return dict(json.loads((self.run_dir / "status.json").read_text()))

    def await_line(self, text: str, timeout: float = 30) -> None:
        """Wait until the log contains a text."""
        end = time.monotonic() + patient(timeout)
        while text not in self.log:
            assert time.monotonic() < end, f"no {text!r} in:\n{self.log}"
            time.sleep(0.05)

    def await_running(self, steps: int, timeout: float = 30) -> None:
        """Wait until a number of steps have written their ids."""
        end = time.monotonic() + patient(timeout)
        while sum(e.get("state") == "running" for e in self.events) < steps:
            assert time.monotonic() < end, self.log
            time.sleep(0.05)

    def signal(self, name: str) -> None:
        """Send a signal to job.sh alone."""
        self.slurm.signal(name, "--batch")

    def wait(self, timeout: float = 60) -> int:
        """Wait for the end and return the exit code of job.sh; no step of the job may be left."""
        self.slurm.wait(timeout)
        assert self.slurm.steps == []
        return self.slurm.exit_code


class Lab:
    """Makes jobs on a cluster, each in a folder of its own."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.folder = folder
        self.count = 0

    def compile(self, plan: Plan) -> Path:
        """Write the bundle of a plan."""
        self.count += 1
        bundle = self.folder / f"plan{self.count}" / "bundle"
        write(render(plan, {"plan.json": to_json(plan)}), bundle)
        return bundle

    def submit(self, made: Plan | Path, *, cwd: Path | None = None, **env: str) -> Job:
        """Submit a plan or a bundle; keywords are environment variables of the submission."""
        bundle = made if isinstance(made, Path) else self.compile(made)
        self.count += 1
        log = self.folder / f"{self.count}.log"
        output = Path(env.setdefault("SRTPLAN_OUTPUT", str(bundle.parent / "out")))
        slurm = self.cluster.sbatch(bundle / "job.sh", f"--output={log}", cwd=cwd or self.folder, env=env)
        return Job(slurm, bundle, output, log)

    def run(self, made: Plan | Path, *, cwd: Path | None = None, **env: str) -> tuple[int, Job]:
        """Submit a plan or a bundle and wait for its end."""
        job = self.submit(made, cwd=cwd, **env)
        return job.wait(), job
