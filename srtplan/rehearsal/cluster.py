"""A stand-in cluster: nodes, a controller, and commands to run on it, as from a login host.

::

    with StandInCluster(folder, nodes=4) as cluster:
        cluster.run(["sbatch", "job.sh"])

In: a folder (empty), a number of nodes. Out: a running controller; leaving the block ends everything it started.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from srtplan.rehearsal import network, processes, rundir, start
from srtplan.rehearsal.slurm.state import State

STOP_S = 10.0
MARKER = "SRT_REHEARSAL_ID"


class StandInCluster:
    """A cluster of stand-ins on this machine."""

    def __init__(self, folder: Path, nodes: int, *, settings: dict[str, str] | None = None) -> None:
        self.folder = folder.absolute()
        self.block = network.reserve()
        try:
            self.state: State = rundir.create(self.folder, self.block, nodes, settings or {})
        except BaseException:
            self.block.lock.close()
            raise
        self.marker = f"{os.getpid()}.{self.block.number}.{self.folder.name}"
        self.escaped: set[int] = set()
        """What outlived the controller and had to be killed by us: nothing, if all is well."""
        self._controller: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The environment of someone who works on this cluster."""
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "SBATCH", "SRT_"))
        }
        return kept | {
            "PATH": f"{self.folder / 'bin'}:{kept.get('PATH', '/usr/bin:/bin')}",
            MARKER: self.marker,
            "SRT_REHEARSAL": "1",
        }

    def __enter__(self) -> "StandInCluster":  # noqa: PYI034 (Self is not in Python 3.10)
        """Start the controller."""
        command = [
            sys.executable,
            "-I",
            "-S",
            "-E",
            str(Path(start.__file__).absolute()),
            "controller",
            str(self.state.folder),
        ]
        self._controller = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self.environment,
            pass_fds=[self.block.lock.fileno()],
            start_new_session=True,
        )
        if self._controller.stdout is None or self._controller.stdout.readline() != b"ready\n":
            self.close()
            raise RuntimeError("the controller of the stand-in cluster did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything."""
        self.close()

    def close(self) -> None:
        """End the controller and with it all that runs on the cluster, and give the addresses back."""
        controller, self._controller = self._controller, None
        if controller is not None:
            if controller.stdin:
                controller.stdin.close()
            if controller.stdout:
                controller.stdout.close()
            try:
                controller.wait(STOP_S)
            except subprocess.TimeoutExpired:
                controller.kill()
                controller.wait()
        self.escaped = self.leftovers()
        processes.send(self.escaped, signal.SIGKILL)
        self.block.lock.close()

    def leftovers(self) -> set[int]:
        """Return the processes that this cluster started and that still run, the controller left out."""
        own = {self._controller.pid} if self._controller else set()
        return processes.with_marker(f"{MARKER}={self.marker}") - own - {os.getpid()}

    def run(
        self,
        argv: list[str],
        *,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        timeout: float = 60.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as from the login host and return what it printed and how it ended."""
        return subprocess.run(
            argv, cwd=cwd, env=self.environment | (env or {}), capture_output=True, text=True, timeout=timeout, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
