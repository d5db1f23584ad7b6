"""PID 1 of the login host, which starts the daemons and the nodes, and the reboot of a single node."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from slurm_cluster import namespaces
from slurm_cluster.config import LOGIN, LOGIN_ADDRESS, NETWORK_BITS, ClusterConfig

HERE = Path(__file__).resolve().parent
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
READY = "run/login.ready"


def login(directory: Path) -> int:
    """Run as PID 1 of the login host: start the network, the daemons and the nodes, then reap processes."""
    config = ClusterConfig.load(directory)
    os.environ["PATH"] = SYSTEM_PATH
    os.environ["SLURM_CONF"] = str(config.slurm_conf)
    _call("hostname", LOGIN)
    if config.cgroup:
        namespaces.unshare_cgroup(config.cgroup)
    for name in ("hosts", "resolv.conf", "nsswitch.conf", "slurm"):
        if Path("/etc", name).exists():  # a bind mount needs a target
            _call("mount", "--bind", directory / "etc" / name, Path("/etc", name))
    _ip("link set lo up", "link add br0 type bridge", f"addr add {LOGIN_ADDRESS}/{NETWORK_BITS} dev br0")
    _ip("link set br0 up")
    if config.auth == "munge":
        _munged(config)
    _call("slurmctld", "-i")  # -i: start without saved state; it goes to the background by itself
    start_nodes(config, range(config.nodes))
    (directory / READY).touch()
    while True:  # adopt and reap the orphans of this namespace
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, 0)
            continue
        time.sleep(0.2)


def node(directory: Path, name: str) -> int:
    """Boot a node that was powered off. Runs inside the login host."""
    config = ClusterConfig.load(directory)
    start_nodes(config, [config.node_names.index(name)])
    return 0


def start_nodes(config: ClusterConfig, indexes: Iterable[int]) -> None:
    """Start the PID 1 of several nodes in parallel, and connect them to the bridge."""
    # outermost first, so that binding one does not cover another
    shares = sorted(s for s in {str(config.directory), *config.share} if s.startswith("/tmp/"))  # noqa: S108
    links: list[str] = []
    fifos: list[Path] = []
    started: list[tuple[str, subprocess.Popen[bytes]]] = []
    for index in indexes:
        name = config.node_names[index]
        fifo = config.directory / "run" / f"{name}.go"
        fifo.unlink(missing_ok=True)
        os.mkfifo(fifo)
        fifos.append(fifo)
        address = f"{config.address(index)}/{NETWORK_BITS}"
        argv: list[str | Path] = ["bash", HERE / "node-init", name, address, config.directory, fifo, *shares]
        started.append((name, namespaces.start(argv, config.log(f"init.{name}.log"))))
    for name, unshare in started:
        namespaces.wait_for_init(unshare)
        links += [
            f"link add v-{name} type veth peer name eth0 netns {unshare.pid}",
            f"link set v-{name} master br0 up",
        ]
    _ip(*links)
    for fifo in fifos:
        fifo.write_text("go\n")


def _munged(config: ClusterConfig) -> None:
    """Start munged. One serves all nodes: unix sockets with a path cross network namespaces."""
    top = config.directory
    _call(
        *("munged", "--force", "--num-threads=8"),
        *(f"--socket={top}/run/munge.socket", f"--key-file={top}/munge/key"),
        *(f"--pid-file={top}/run/munged.pid", f"--seed-file={top}/munge/seed"),
        f"--log-file={config.log('munged.log')}",
    )


def _call(*argv: str | Path) -> None:
    subprocess.run(argv, check=True)


def _ip(*lines: str) -> None:
    subprocess.run(["ip", "-batch", "-"], check=True, text=True, input="".join(f"{line}\n" for line in lines))
