"""The verbs of `cluster.py`, which run outside the cluster. Each returns an exit status."""

from __future__ import annotations

import dataclasses
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from slurm_cluster import files, namespaces
from slurm_cluster.boot import READY, SYSTEM_PATH
from slurm_cluster.config import LOGIN, LONGEST_DIRECTORY, ClusterConfig

PROGRAM = Path(__file__).resolve().parent.parent / "cluster.py"
TOOLS = ("slurmctld", "slurmd", "sinfo", "ip", "unshare", "mount")
SPANK_HEADER = Path("/usr/include/slurm/spank.h")
LONGEST_DEATH = 20.0  # seconds


class ClusterError(Exception):
    """An error that is shown to the user without a traceback."""


def missing(*, auth: str = "munge", pyxis: bool = True) -> list[str]:
    """Return what this machine lacks for a cluster; [] if it can run one."""
    tools = [*TOOLS, *(["munged"] if auth == "munge" else []), *(["gcc"] if pyxis else [])]
    path = f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"
    lacks = ["root"] if os.geteuid() != 0 else []
    lacks += [tool for tool in tools if not shutil.which(tool, path=path)]
    if pyxis and not SPANK_HEADER.exists():
        lacks.append(str(SPANK_HEADER))
    if (
        not lacks
        and subprocess.run([*namespaces.UNSHARE, "true"], capture_output=True, check=False).returncode
    ):
        lacks.append("the right to make namespaces")
    return lacks


# ------------------------------------------------------------------ which processes a cluster is


def init_of(directory: Path) -> int:
    """Return the pid of the login host's PID 1, as the caller sees it. ClusterError: no cluster is up."""
    try:
        state = json.loads((directory / "init.json").read_text())
    except FileNotFoundError:
        state = {"pid": 0, "start": "-"}
    if namespaces.start_time(state["pid"]) != state["start"]:
        raise ClusterError(f"no cluster is up in {directory}")
    return int(state["pid"])


def is_up(directory: Path) -> bool:
    """Tell whether a cluster runs in this directory."""
    try:
        init_of(directory)
    except ClusterError:
        return False
    return True


def pid_of(directory: Path, host: str) -> int:
    """Return the pid, as the caller sees it, of the PID 1 of a node; for "" and "login" of the login host."""
    if host in ("", LOGIN):
        return init_of(directory)
    pid = node_pid(directory, host)
    if not pid:
        raise ClusterError(f"{host} is powered off")
    return pid


def node_pid(directory: Path, name: str) -> int:
    """Return the pid of a node's PID 1, as the caller sees it; 0 if the node is powered off."""
    if name not in ClusterConfig.load(directory).node_names:
        raise ClusterError(f"node not found: {name}")
    for pid in namespaces.children(init_of(directory)):
        argv = namespaces.argv_of(pid)
        if argv[:1] == ["unshare"] and name in argv:
            return next(iter(namespaces.children(pid)), 0)
    return 0


# ------------------------------------------------------------------ up and down


def up(config: ClusterConfig, *, timeout: float, owner: int) -> int:
    """Start a cluster and wait until every node is idle."""
    began = time.monotonic()
    _check(config)
    if (config.directory / "config.json").exists():  # left by a cluster that was killed
        down(config.directory, keep=False, quiet=True)
    config = _choose_cgroup(config)
    config.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    if any(config.directory.iterdir()):
        raise ClusterError(f"{config.directory} holds something that is not a cluster's state")
    config.save()
    files.write(config)
    argv = [sys.executable, str(PROGRAM), "--dir", str(config.directory), "_login"]
    unshare = namespaces.start(argv, config.log("login.log"))
    init = namespaces.wait_for_init(unshare)
    state = {"pid": init, "start": namespaces.start_time(init)}
    (config.directory / "init.json").write_text(json.dumps(state))
    try:
        _wait_until_idle(config, unshare, began + timeout)
    except ClusterError as error:
        down(config.directory, keep=True, quiet=True)
        raise ClusterError(f"{error}\n{_log_ends(config)}") from None
    if owner:
        argv = [*argv[:-1], "_guard", str(owner)]
        silent = subprocess.DEVNULL
        subprocess.Popen(argv, stdin=silent, stdout=silent, stderr=silent, start_new_session=True, cwd="/")
    print(f"up: {config.nodes} nodes in {time.monotonic() - began:.2f} s, state in {config.directory}")
    return 0


def _check(config: ClusterConfig) -> None:
    lacks = missing(auth=config.auth, pyxis=config.pyxis)
    if lacks:
        raise ClusterError(f"this machine lacks: {', '.join(lacks)} (tests/rig/install brings the programs)")
    if is_up(config.directory):
        raise ClusterError(f"already up in {config.directory}")
    if len(str(config.directory)) > LONGEST_DIRECTORY:
        raise ClusterError(f"{config.directory}: choose a path of at most {LONGEST_DIRECTORY} characters")
    for path in (*config.share, config.images or "/"):
        if not Path(path).is_dir():
            raise ClusterError(f"{path}: no such directory")


def _choose_cgroup(config: ClusterConfig) -> ClusterConfig:
    """Resolve `auto`, and create the cgroup of the cluster if one is used."""
    proctrack, cgroup = config.proctrack, ""
    if proctrack == "auto":
        usable = os.access(namespaces.FREEZER / "cgroup.procs", os.W_OK)
        proctrack = "cgroup" if usable else "linuxproc"
    if proctrack == "cgroup":
        cgroup = str(namespaces.FREEZER / f"srtplan-cluster-{os.getpid()}-{time.time_ns()}")
        Path(cgroup).mkdir()
    return dataclasses.replace(config, proctrack=proctrack, cgroup=cgroup)


def _wait_until_idle(config: ClusterConfig, unshare: subprocess.Popen[bytes], deadline: float) -> None:
    seen = "the login host is not ready"
    while time.monotonic() < deadline:
        if unshare.poll() is not None:
            raise ClusterError("the login host ended")
        if (config.directory / READY).exists():
            seen = capture(config.directory, ["sinfo", "--noheader", "--Node", "--format=%N %T %E"])
            # a node is listed once per partition
            states = {line.split()[0]: line.split()[1] for line in seen.splitlines() if len(line.split()) > 1}
            if len(states) == config.nodes and set(states.values()) == {"idle"}:
                return
            if any(state.startswith(("inval", "drain")) for state in states.values()):
                break
        time.sleep(0.03)
    raise ClusterError(f"not up:\n{seen}")


def _log_ends(config: ClusterConfig) -> str:
    logs = sorted(config.log("").glob("*.log"))
    return "\n".join(f"== {log.name}\n{log.read_text(errors='replace')[-2000:]}" for log in logs)


def down(directory: Path, *, keep: bool, quiet: bool = False) -> int:
    """Destroy a cluster completely, even one that was only partly started."""
    began = time.monotonic()
    if not (directory / "config.json").exists():
        raise ClusterError(f"no cluster is up in {directory}")
    config = ClusterConfig.load(directory)
    cgroup = config.cgroup
    if is_up(directory):
        os.kill(init_of(directory), signal.SIGKILL)  # the kernel kills all the rest
    while is_up(directory):
        namespaces.thaw(cgroup)
        if time.monotonic() - began > LONGEST_DEATH:
            raise ClusterError(f"the PID 1 of {directory} does not die")
        time.sleep(0.005)
    if cgroup and Path(cgroup).is_dir():
        namespaces.remove_cgroup(cgroup)
    if not keep:
        shutil.rmtree(directory)
        if config.scratch:
            shutil.rmtree(config.scratch, ignore_errors=True)
    if not quiet:
        print(f"down in {time.monotonic() - began:.2f} s")
    return 0


def guard(directory: Path, owner: int) -> int:
    """Wait until the owner of a cluster ends, then destroy the cluster."""
    poll = select.poll()
    try:
        fds = [os.pidfd_open(owner), os.pidfd_open(init_of(directory))]
    except (ProcessLookupError, ClusterError):
        fds = []
    for fd in fds:
        poll.register(fd, select.POLLIN)
    if fds:
        poll.poll()
    if (directory / "config.json").exists() and not namespaces.start_time(owner):
        down(directory, keep=False, quiet=True)
    return 0


# ------------------------------------------------------------------ in a cluster that is up


def environment(directory: Path) -> dict[str, str]:
    """Return the caller's environment, adapted to the login host."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SBATCH_"))}
    env["SLURM_CONF"] = f"{directory}/etc/slurm/slurm.conf"
    env.setdefault("USER", "root")
    env.setdefault("HOME", "/root")
    env["PATH"] = f"{env['PATH']}:{SYSTEM_PATH}" if env.get("PATH") else SYSTEM_PATH
    return env


def run(directory: Path, argv: Sequence[str], *, node: str = "") -> int:
    """Run a command on the login host, or on a node, in the caller's directory."""
    if not argv:
        raise ClusterError("run what?")
    pid = pid_of(directory, node)
    cgroup = ClusterConfig.load(directory).cgroup
    return namespaces.enter(pid, argv, env=environment(directory), cwd=str(Path.cwd()), cgroup=cgroup)


def capture(directory: Path, argv: Sequence[str]) -> str:
    """Return stdout and stderr of a command on the login host."""
    argv = [sys.executable, str(PROGRAM), "--dir", str(directory), "run", *argv]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def status(directory: Path) -> int:
    """Print the pid of each host's PID 1, then sinfo."""
    print(f"{LOGIN}: pid {init_of(directory)}")
    for name in ClusterConfig.load(directory).node_names:
        pid = node_pid(directory, name)
        print(f"{name}: pid {pid}" if pid else f"{name}: off")
    sys.stdout.flush()
    return run(directory, ["sinfo", "--Node", "--format=%N %T %c %G %E"])


def power(directory: Path, node: str, *, on: bool) -> int:
    """Kill all processes of a node and drop its network, or boot it."""
    if not on:
        os.kill(pid_of(directory, node), signal.SIGKILL)
        return 0
    if not node_pid(directory, node):
        return run(directory, [sys.executable, str(PROGRAM), "--dir", str(directory), "_node", node])
    raise ClusterError(f"{node} is on")


def link(directory: Path, node: str, *, up: bool) -> int:
    """Cut or restore a node's network; its processes keep running."""
    pid_of(directory, node)
    return run(directory, ["ip", "link", "set", f"v-{node}", "up" if up else "down"])
