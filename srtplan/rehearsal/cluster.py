"""A stand-in cluster: nodes of this machine, and the keeper of a job on them.

::

    with StandInCluster(folder, nodes=4, plan=plan) as cluster:
        job = cluster.start(Path("job.sh"), {"output": "job.out"}, here=folder, env={})

In: a folder (empty), a number of nodes, the Plan whose programs are to be simulated. Out: a running job; leaving the block
ends everything it started.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from srtplan.rehearsal import network, processes, rundir, start
from srtplan.rehearsal.slurm import batch, hostlist
from srtplan.rehearsal.slurm.state import Job, write_record

STOP_S = 10.0
MARKER = "SRT_REHEARSAL_ID"


class StandInCluster:
    """A cluster of stand-ins on this machine."""

    def __init__(
        self, folder: Path, nodes: int, *, settings: Mapping[str, str] | None = None, plan: Mapping[str, Any] | None = None
    ) -> None:  # fmt: skip
        """Make the cluster's files. Raises OSError, or StandInError for a Plan with an unknown behavior."""
        self.folder = folder.absolute()
        self.block = network.reserve()
        try:
            self.state = rundir.create(self.folder, self.block, nodes, settings or {}, plan)
        except BaseException:
            self.block.lock.close()
            raise
        self.marker = f"{os.getpid()}.{self.block.number}.{self.folder.name}"
        self.escaped: set[int] = set()
        """What outlived its guardian and had to be killed by us: nothing, if all is well."""
        self._guardian: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The environment of someone who works on this cluster."""
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "SBATCH", "SRT_"))
        }
        path = f"{self.folder / 'bin'}:{kept.get('PATH', '/usr/bin:/bin')}"
        return kept | {"PATH": path, MARKER: self.marker, "SRT_REHEARSAL": "1"}

    def start(self, script: Path, options: dict[str, str], *, here: Path, env: Mapping[str, str]) -> Job:
        """Start a job on the first nodes. Raises UsageError for what sbatch would refuse."""
        own = self.environment | dict(env)
        job = batch.create(self.state, script.absolute(), options, own=own, here=here, arguments=[])
        names = [node.name for node in self.state.nodes()][: int(job.record["num_nodes"])]
        write_record(job.folder / "record", job.record | {"nodes": hostlist.compress(names)})
        (job.folder / "steps").mkdir()
        self.guard(Path(start.__file__), "keeper", str(self.state.folder), str(job.number))
        return job

    def guard(self, program: Path, *words: str) -> None:
        """Start the program that everything of the cluster runs below; it ends with its standard input."""
        self._guardian = subprocess.Popen(
            [sys.executable, "-I", "-S", "-E", str(program.absolute()), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self.environment,
            pass_fds=[self.block.lock.fileno()],
            start_new_session=True,
        )
        if self._guardian.stdout is None or self._guardian.stdout.readline() != b"ready\n":
            self.close()
            raise RuntimeError(f"{words[0]} of the stand-in cluster did not start")

    def __enter__(self) -> "StandInCluster":  # noqa: PYI034 (Self is not in Python 3.10)
        """Return the cluster."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything."""
        self.close()

    def close(self) -> None:
        """End all that runs on the cluster, and give the addresses back."""
        guardian, self._guardian = self._guardian, None
        if guardian is not None:
            for stream in (guardian.stdin, guardian.stdout):
                if stream:
                    stream.close()
            try:
                guardian.wait(STOP_S)
            except subprocess.TimeoutExpired:
                guardian.kill()
                guardian.wait()
        self.escaped = self.leftovers()
        processes.send(self.escaped, signal.SIGKILL)
        self.block.lock.close()

    def leftovers(self) -> set[int]:
        """Return the processes that this cluster started and that still run, its guardian left out."""
        own = {self._guardian.pid} if self._guardian else set()
        return processes.with_marker(f"{MARKER}={self.marker}") - own - {os.getpid()}
