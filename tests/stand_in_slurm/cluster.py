"""The rehearsal's cluster with sbatch and a queue, and commands to run on it, as from a login host.

::

    with StandInCluster(folder, nodes=4) as cluster:
        cluster.run(["sbatch", "job.sh"])
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from srtplan.rehearsal import cluster
from stand_in_slurm import start


class StandInCluster(cluster.StandInCluster):
    """A cluster to which any number of jobs can be submitted."""

    def __init__(
        self, folder: Path, nodes: int, *, settings: Mapping[str, str] | None = None, plan: Mapping[str, Any] | None = None
    ) -> None:  # fmt: skip
        """Make the cluster's files, and the commands that a rehearsal has not."""
        super().__init__(folder, nodes, settings=settings, plan=plan)
        os.mkfifo(self.state.folder / "control", 0o600)
        for name in ("sbatch", "scontrol"):
            argv = [sys.executable, "-I", "-S", "-E", start.__file__, name, str(self.state.folder)]
            path = self.folder / "bin" / name
            path.write_text(f'#!/bin/sh\nexec {shlex.join(argv)} "$@"\n')
            path.chmod(0o755)

    def __enter__(self) -> StandInCluster:  # noqa: PYI034 (Self is not in Python 3.10)
        """Start the controller."""
        self.guard(Path(start.__file__), "controller", str(self.state.folder))
        return self

    def run(
        self, argv: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None, timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Run a command as from the login host and return what it printed and how it ended."""
        return subprocess.run(
            argv, cwd=cwd, env=self.environment | (env or {}), capture_output=True, text=True, timeout=timeout, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
