r"""The interface of the cluster for tests: `Cluster` and `Job`.

    cluster = Cluster.up(nodes=2)
    job = cluster.sbatch(script, "--nodes=2", "--output=job.out", cwd=workdir)
    assert job.wait(timeout=20).exit_code == 0, job.output
    assert cluster.run(["hostname"], node="node1").stdout == "node1\n"
    cluster.down()

A directory is seen by all nodes unless it lies below /tmp; `Cluster.up` makes one, `cluster.shared`, which
containers do not see unless it is mounted.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from slurm_cluster.boot import SYSTEM_PATH
from slurm_cluster.commands import PROGRAM
from slurm_cluster.config import ClusterConfig

ENDED = (
    *("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"),
    *("BOOT_FAIL", "DEADLINE", "OUT_OF_MEMORY", "PREEMPTED"),
)
NOT_IN_TIME = 99
PATIENCE = 5
"""Factor by which all deadlines are extended, for busy machines. Only a failing test waits that long."""
CHECKOUT = Path(__file__).resolve().parents[3]
# one process inside the cluster polls, instead of one new process per poll
POLL = rf"""
until [[ "$(scontrol --oneliner show job "$1")" =~ \ JobState=($2)\  ]]; do
  (( SECONDS < $3 )) || exit {NOT_IN_TIME}
  sleep 0.1
done
"""


class Cluster:
    """A cluster that is up. `nodes` are the host names; `shared` is a directory that all nodes see."""

    def __init__(self, directory: Path) -> None:
        self.config = ClusterConfig.load(directory)
        self.directory = directory
        self.nodes = self.config.node_names
        self.shared = Path(self.config.scratch) if self.config.scratch else shared_directory()
        self.jobs: list[Job] = []

    @classmethod
    def up(cls, *options: str, nodes: int = 4) -> Cluster:
        """Start a cluster in its own directory; it ends with this process.

        `options` are those of `cluster.py up`. RuntimeError has the reason if the start fails.
        """
        directory = Path(tempfile.mkdtemp(prefix="srtplan-test-", dir="/tmp"))
        shared = shared_directory()
        argv = [sys.executable, str(PROGRAM), "--dir", str(directory), "up", str(nodes)]
        argv += ["--owner", str(os.getpid()), "--scratch", str(shared), *options]
        if (
            CHECKOUT.parts[1] == "tmp"
        ):  # each node has its own /tmp, and what is mounted from here must be there
            argv += ["--share", str(CHECKOUT)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(directory)
            shutil.rmtree(shared)
            raise RuntimeError(done.stderr)
        return cls(directory)

    def down(self) -> None:
        """Destroy the cluster and its shared directory, unless it is already down."""
        if self.directory.exists():
            self._cluster("down", check=True)

    def forget(self) -> None:
        """Remove the shared directory but keep the cluster, for a cluster that was already running."""
        shutil.rmtree(self.shared, ignore_errors=True)

    # -------------------------------------------------------------- commands inside

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
        """Run a command on the login host or a node, in a minimal environment plus `env`.

        With `check`, a failure raises AssertionError with its output.
        """
        done = subprocess.run(
            self._inside(argv, node),
            cwd=cwd or self.shared,
            env=environment(env),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=PATIENCE * timeout,
            check=False,
        )
        if check and done.returncode:
            words = shlex.join(str(word) for word in argv)
            raise AssertionError(f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def start(
        self, argv: Sequence[str | Path], *, node: str = "", env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start a command in the background. It receives TERM, INT and HUP sent to the process, and ends with this one."""
        return subprocess.Popen(
            self._inside(argv, node),
            cwd=self.shared,
            env=environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _inside(self, argv: Sequence[str | Path], node: str) -> list[str]:
        verb = ["run", *(["--node", node] if node else [])]
        return [sys.executable, str(PROGRAM), "--dir", str(self.directory), *verb, *map(str, argv)]

    def _cluster(self, *words: str, check: bool) -> str:
        argv = [sys.executable, str(PROGRAM), "--dir", str(self.directory), *words]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise AssertionError(f"cluster.py {shlex.join(words)}: {done.stderr}")
        return done.stdout

    # -------------------------------------------------------------- jobs

    def sbatch(
        self,
        script: Path,
        *options: str,
        args: Sequence[str] = (),
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Job:
        """Submit a script: `options` are for sbatch, `args` for the script. Raises AssertionError if sbatch fails."""
        argv = ["sbatch", "--parsable", *options, str(script), *args]
        job = Job(self, int(self.run(argv, cwd=cwd, env=env).stdout.split(";")[0]))
        self.jobs.append(job)
        return job

    def script(self, name: str, text: str) -> Path:
        """Write a batch script to the shared directory; `text` follows `#!/usr/bin/env bash`."""
        path = self.shared / name
        path.write_text(f"#!/usr/bin/env bash\n{text}")
        path.chmod(0o755)
        return path

    def end_jobs(self) -> None:
        """Cancel all unfinished jobs of this object, and wait until they are gone."""
        unfinished = [job for job in self.jobs if job.state not in ENDED]
        for job in unfinished:
            job.cancel()
        for job in unfinished:
            job.wait(timeout=30)
        self.jobs.clear()

    def container_log(self) -> list[str]:
        """Return one line per task that ran in a container: `NODE JOB.STEP image=... mounts=...`."""
        log = self.config.log("containers.log")
        return log.read_text().splitlines() if log.exists() else []

    # -------------------------------------------------------------- machines

    def power_off(self, node: str) -> None:
        """Kill all processes of a node and drop its network, like a power failure."""
        self._cluster("power-off", node, check=True)

    def power_on(self, node: str) -> None:
        """Boot a node that was powered off."""
        self._cluster("power-on", node, check=True)

    def link_down(self, node: str) -> None:
        """Cut the network of a node; its processes keep running."""
        self._cluster("link-down", node, check=True)

    def link_up(self, node: str) -> None:
        """Restore the network of a node."""
        self._cluster("link-up", node, check=True)

    def node_state(self, node: str) -> str:
        """Return the state of a node: idle, mixed, allocated or down, with a * if it does not respond."""
        return self.run(["sinfo", "--noheader", f"--nodes={node}", "--format=%T"]).stdout.split()[0]


class Job:
    """A job of a cluster. Every access of a property queries Slurm."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        self.cluster = cluster
        self.id = number

    def __repr__(self) -> str:
        return f"Job({self.id})"

    @property
    def record(self) -> dict[str, str]:
        """The record of `scontrol show job`: {"JobState": "RUNNING", "Command": "/x/job.sh", ...}."""
        line = self.cluster.run(["scontrol", "--oneliner", "show", "job", str(self.id)]).stdout
        fields = re.split(r"\s+(?=[A-Z][A-Za-z/:_]*=)", line.strip())
        return dict(field.split("=", 1) for field in fields if "=" in field)

    @property
    def state(self) -> str:
        """The state of the job: PENDING, RUNNING, COMPLETING, COMPLETED, FAILED, ..."""
        return self.record["JobState"]

    @property
    def exit_code(self) -> int:
        """The batch script's exit status; 128 + signal if a signal ended it."""
        status, signal = self.record["ExitCode"].split(":")
        return 128 + int(signal) if int(signal) else int(status)

    @property
    def steps(self) -> list[str]:
        """Ids of the steps that Slurm still lists: ["7.0", "7.batch"]."""
        argv = ["squeue", "--noheader", "--steps", f"--jobs={self.id}", "--format=%i"]
        return self.cluster.run(argv).stdout.split()

    @property
    def output(self) -> str:
        """The output of the batch script so far; not available if --output is in a node's private /tmp."""
        path = Path(self.record["StdOut"])
        return path.read_text(errors="replace") if path.exists() else ""

    def wait(self, timeout: float) -> Job:
        """Wait until the job has ended and its nodes are free. TimeoutError shows its output."""
        return self.wait_for("|".join(ENDED), timeout)

    def wait_for(self, state: str, timeout: float) -> Job:
        """Wait until the job is in a state: "RUNNING", or one of several: "RUNNING|COMPLETED"."""
        argv = ["bash", "-c", POLL, "poll", str(self.id), state, str(round(PATIENCE * timeout))]
        if self.cluster.run(argv, timeout=timeout + 30, check=False).returncode:
            record = self.record
            said = (
                f"{record['JobState']}, Reason={record['Reason']}, steps {self.steps}\n{self.output[-4000:]}"
            )
            raise TimeoutError(f"job {self.id} is not {state} within {timeout} s: {said}")
        return self

    def signal(self, name: str, *options: str) -> None:
        """Send a signal to the job's steps; with "--batch" to its shell only."""
        self.cluster.run(["scancel", f"--signal={name}", *options, str(self.id)])

    def cancel(self) -> None:
        """Cancel the job, and return at once."""
        self.cluster.run(["scancel", str(self.id)])


def shared_directory() -> Path:
    """Create a directory outside /tmp that all nodes see, and containers only if it is mounted."""
    path = Path(tempfile.mkdtemp(prefix="srtplan-shared-", dir="/var/tmp"))
    path.chmod(0o755)
    return path


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a fresh login, without variables of the caller."""
    return {"PATH": SYSTEM_PATH, "HOME": "/root", "USER": "root", "LANG": "C.UTF-8", **(more or {})}


def eventually(condition: Callable[[], bool], timeout: float, what: str = "the condition") -> None:
    """Wait until a condition holds. TimeoutError names it."""
    deadline = time.monotonic() + PATIENCE * timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout} s: {what}")
        time.sleep(0.1)
