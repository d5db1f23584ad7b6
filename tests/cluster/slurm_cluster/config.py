"""The configuration of a cluster: one frozen value, written to `config.json` in the state directory.

ClusterConfig(directory=Path("/tmp/c"), nodes=2).node_names     -> ("node0", "node1")
ClusterConfig(directory=Path("/tmp/c"), nodes=2).address(1)     -> "10.99.0.11"
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

LOGIN = "login"
LOGIN_ADDRESS = "10.99.0.1"
NETWORK_BITS = 16
DIRECTORY_VARIABLE = "SRTPLAN_CLUSTER"
LONGEST_DIRECTORY = 60  # it contains unix sockets, whose paths are limited to 108 characters


def default_directory() -> Path:
    """Return the default state directory."""
    return Path(os.environ.get(DIRECTORY_VARIABLE) or "/tmp/srtplan-cluster").absolute()  # noqa: S108 (documented)


@dataclasses.dataclass(frozen=True)
class ClusterConfig:
    """The settings of a cluster.

    `share` lists directories below /tmp that all nodes see; `images` is the directory in which the container stand-in
    looks up images by name; `cgroup` is the freezer cgroup of the cluster, or ""; `conf` holds additional lines for
    slurm.conf; `scratch` is a directory that is removed with the cluster, or "".
    """

    directory: Path
    nodes: int = 4
    gpus: int = 8
    gpu_type: str = ""
    cpus: int = 64
    prefix: str = "node"
    auth: str = "munge"
    share: tuple[str, ...] = ()
    proctrack: str = "auto"
    pyxis: bool = True
    images: str = ""
    conf: tuple[str, ...] = ()
    debug: str = "info"
    slurmd_timeout: int = 10
    kill_wait: int = 5
    cgroup: str = ""
    scratch: str = ""

    @property
    def node_names(self) -> tuple[str, ...]:
        """Host names of the compute nodes, in order."""
        return tuple(f"{self.prefix}{i}" for i in range(self.nodes))

    def address(self, index: int) -> str:
        """Return the address of a node; the first ten addresses are reserved for the login host."""
        return f"10.99.{(index + 10) // 250}.{(index + 10) % 250}"

    @property
    def slurm_conf(self) -> Path:
        """The path of slurm.conf inside the cluster."""
        return self.directory / "etc" / "slurm" / "slurm.conf"

    def log(self, name: str) -> Path:
        """Return the path of a log file of the cluster itself."""
        return self.directory / "log" / name

    def save(self) -> None:
        """Write `config.json`, which marks the directory as one that may be removed."""
        text = json.dumps(dataclasses.asdict(self), default=str, indent=1)
        (self.directory / "config.json").write_text(text + "\n")

    @classmethod
    def load(cls, directory: Path) -> ClusterConfig:
        """Read `config.json`. FileNotFoundError: the directory has no cluster."""
        data = json.loads((directory / "config.json").read_text())
        data |= {"directory": directory, "share": tuple(data["share"]), "conf": tuple(data["conf"])}
        return cls(**data)
