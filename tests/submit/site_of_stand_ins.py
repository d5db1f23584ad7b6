"""A site to submit from: the stand-in cluster, a directory with recipes, and Slurm commands that tests can replace."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from busy import patient
from stand_in_slurm.cluster import StandInCluster

ROOT = Path(__file__).parents[2]
CLI = [sys.executable, "-c", "from srtplan.cli.main import main; main()"]
RECIPE = """\
name: tiny
model: {path: hf:acme/tiny, container: /images/i.sqsh, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 8, agg_nodes: 1, agg_workers: 1}
dynamo: {install: false}
backend: {type: mocker}
frontend: {type: dynamo, enable_multiple_frontends: false}
health_check: {max_attempts: 60, interval_seconds: 1}
benchmark: {type: sa-bench, isl: 16, osl: 8, concurrencies: [2], num_prompts_mult: 2}
"""
HELD = RECIPE + "sbatch_directives: {hold: ''}\n"
"""A recipe whose job stays on hold, for tests of the submission alone."""
BROKEN = RECIPE.replace("agg_workers: 1", "agg_workers: 0")
VARIANTS = (
    "base:\n"
    + "".join(f"  {line}\n" for line in HELD.splitlines())
    + "override_small: {benchmark: {isl: 32}}\noverride_large: {benchmark: {isl: 64, osl: 4}}\n"
)


class Site:
    """``folder`` holds recipes, ``base`` the runs; programs in ``bin`` take precedence over Slurm's."""

    def __init__(self, cluster: StandInCluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        self.base, self.bin, self.calls = folder / "runs", folder / "bin", folder / "calls"
        self.bin.mkdir()
        self.began = {job.number for job in cluster.state.jobs()}
        self.started: list[subprocess.Popen[str]] = []

    def recipe(self, text: str = HELD, name: str = "recipe.yaml") -> Path:
        """Write a recipe, and return its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def program(self, name: str, script: str) -> None:
        """Replace a Slurm command by a shell script, in which ``real "$@"`` calls the stand-in."""
        real = f'real() {{ {self.cluster.folder}/bin/{name} "$@"; }}\n'
        path = self.bin / name
        path.write_text(f"#!/bin/bash\nprintf '%s\\n' \"{name} $*\" >>{self.calls}\n{real}{script}\n")
        path.chmod(0o755)

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of the submitter."""
        path = f"{self.bin}:{self.cluster.environment['PATH']}"
        return {"PYTHONPATH": str(ROOT), "PATH": path, "SRTPLAN_PREFLIGHT_SKIP": "dir file path gpus", **more}

    def run(self, *argv: str | Path, timeout: float = 60, **env: str) -> subprocess.CompletedProcess[str]:
        """Run srtplan in the directory of recipes."""
        words = [*CLI, *map(str, argv)]
        return self.cluster.run(words, cwd=self.folder, env=self.environment(**env), timeout=timeout)

    def apply(self, *argv: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        """Run ``srtplan apply -o BASE ...``."""
        return self.run("apply", "-o", self.base, *argv, **env)

    def start(self, *argv: str | Path) -> subprocess.Popen[str]:
        """Start ``srtplan apply -o BASE ...`` without waiting for its end."""
        words = [*CLI, "apply", "-o", str(self.base), *map(str, argv)]
        process = subprocess.Popen(
            words,
            cwd=self.folder,
            env=self.cluster.environment | self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    @property
    def jobs(self) -> dict[str, str]:
        """The state of every job of this test, by job id."""
        found = (j for j in self.cluster.state.jobs() if j.number not in self.began)
        return {str(j.number): j.state for j in found}

    @property
    def called(self) -> list[str]:
        """The calls of the replaced Slurm commands."""
        return self.calls.read_text().splitlines() if self.calls.exists() else []

    def metadata(self, number: str) -> dict[str, Any]:
        """The metadata of a job."""
        loaded: dict[str, Any] = json.loads((self.base / number / f"{number}.json").read_text())
        return loaded

    def wait(self, number: str, timeout: float = 60) -> str:
        """Wait until a job is over, and return its state."""
        job = self.cluster.state.job(number)
        assert job is not None
        self.eventually(lambda: job.is_over, timeout)
        return job.state

    @staticmethod
    def eventually(condition: Any, timeout: float = 20) -> None:
        """Wait until a condition holds."""
        end = time.monotonic() + patient(timeout)
        while not condition():
            assert time.monotonic() < end, "not in time"
            time.sleep(0.05)

    def send_signal(self, process: subprocess.Popen[str], number: int) -> None:
        """Send a signal, and wait until the kernel has delivered it: two pending signals of a kind are one."""
        process.send_signal(number)
        status = Path(f"/proc/{process.pid}/status")
        bit = 1 << (number - 1)

        def is_delivered() -> bool:
            masks = re.findall(r"^(?:SigPnd|ShdPnd):\s*(\w+)$", status.read_text(), re.MULTILINE)
            return not any(int(mask, 16) & bit for mask in masks)

        self.eventually(is_delivered)

    def listing(self) -> list[str]:
        """All paths below the base except those in bundles; staging directories are called STAGING."""
        paths = (
            (p.relative_to(self.base).as_posix() for p in self.base.rglob("*")) if self.base.exists() else ()
        )
        return sorted(re.sub(r"\.submit-\d+-\d+", "STAGING", p) for p in paths if "bundle/" not in p)

    def close(self) -> None:
        """End the processes and cancel the jobs that the test has left."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.communicate()
        for number, state in self.jobs.items():
            if state in ("PENDING", "RUNNING", "COMPLETING"):
                self.cluster.run(["scancel", number])
                self.wait(number)
        shutil.rmtree(self.base, ignore_errors=True)
