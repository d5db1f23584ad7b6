"""The cluster of stand-ins behind the interface of the real cluster of tests/cluster."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from slurm_cluster.client import Cluster
from stand_in_slurm.cluster import StandInCluster


class StandIn(Cluster):
    """The stand-ins behind the interface of the real cluster: four nodes with eight GPUs each."""

    def __init__(self, inner: StandInCluster, shared: Path) -> None:
        self.inner = inner
        self.nodes = tuple(node.name for node in inner.state.nodes())
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
        done = self.inner.run(words, cwd=cwd or self.shared, env=dict(env or {}), timeout=timeout)
        assert not (check and done.returncode), f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done
