"""Find what a job leaves behind: the difference of two snapshots of all hosts of a cluster.

    leftovers = Leftovers(cluster)
    cluster.sbatch(script).wait(timeout=20)
    assert leftovers() == []

A failure shows lines such as `node2: process 1234 python3 -m http.server`, `node2: listening on [::]:8000`,
`node2: file /tmp/x`, `node2: memory shm 3`, `node2: mount /mnt`, `step 7.0`.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from slurm_cluster import commands, namespaces
from slurm_cluster.client import PATIENCE, Cluster
from slurm_cluster.config import LOGIN

GRACE = 5.0  # seconds: a slurmstepd lingers for a moment after its job has ended
TCP_LISTEN = "0A"


class Leftovers:
    """A snapshot of all hosts; each call compares a new one."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.before = look(cluster)

    def __call__(self, *, grace: float = GRACE, of: Callable[[str], bool] = bool) -> list[str]:
        """Return the sorted lines that are new since the first snapshot; [] as soon as there are none.

        New lines count as left over once they have not changed for ``grace`` seconds; ``of`` selects the lines that count.
        """
        end = time.monotonic() + PATIENCE * grace
        quiet = time.monotonic() + grace
        new = self._new(of)
        while new and time.monotonic() < min(end, quiet):
            time.sleep(0.2)
            before, new = new, self._new(of)
            if new != before:
                quiet = time.monotonic() + grace
        return sorted(new)

    def _new(self, of: Callable[[str], bool]) -> set[str]:
        return set(filter(of, look(self.cluster) - self.before))


def look(cluster: Cluster) -> frozenset[str]:
    """Return one line for each process, port, file, memory segment, mount and step of the hosts."""
    lines = {
        f"step {step}"
        for step in cluster.run(["squeue", "--noheader", "--steps", "--format=%i"]).stdout.split()
    }
    processes = list(_processes())
    for host in (LOGIN, *cluster.nodes):
        try:
            init = commands.pid_of(cluster.directory, host)
        except commands.ClusterError:
            continue  # powered off: nothing can be left
        found = [*_of_host(init, processes), *_listening(init), *_shared_memory(init), *_mounts(init)]
        if host != LOGIN:  # on the login host both belong to the machine
            found += [*_files(init, Path("tmp")), *_files(init, Path("dev/shm"))]
        lines |= {f"{host}: {line}" for line in found}
    return frozenset(lines)


def _processes() -> Iterator[tuple[str, str]]:
    """Yield (pid namespace, line) of every process of the machine."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        pid = int(entry.name)
        argv = namespaces.argv_of(pid)
        try:
            namespace = str((entry / "ns" / "pid").readlink())
        except OSError:
            continue  # it has just ended
        if argv and namespaces.start_time(pid):
            yield namespace, f"process {pid} {' '.join(argv)}"


def _of_host(init: int, processes: list[tuple[str, str]]) -> list[str]:
    namespace = str(Path(f"/proc/{init}/ns/pid").readlink())
    return [line for where, line in processes if where == namespace]


def _listening(init: int) -> list[str]:
    found = []
    for table in ("tcp", "tcp6"):
        for row in Path(f"/proc/{init}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_ = row.split()
            if state == TCP_LISTEN:
                address, port = local.split(":")
                found.append(f"listening on {_readable(address)}:{int(port, 16)}")
    return found


def _readable(address: str) -> str:
    """Turn the kernel's hexadecimal words, each in the machine's byte order, into an address."""
    words = [bytes.fromhex(address[i : i + 8]) for i in range(0, len(address), 8)]
    raw = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    if len(words) == 1:
        return socket.inet_ntop(socket.AF_INET, raw)
    return f"[{socket.inet_ntop(socket.AF_INET6, raw)}]"


def _files(init: int, directory: Path) -> list[str]:
    """Return the files of a private directory, except those in mounts, which are shared."""
    top = Path(f"/proc/{init}/root") / directory
    device = top.stat().st_dev
    found = []
    for folder, names, files in os.walk(top):
        names[:] = [name for name in names if _device(Path(folder, name)) == device]
        found += [
            f"file /{Path(folder, name).relative_to(f'/proc/{init}/root')}" for name in (*names, *files)
        ]
    return found


def _device(path: Path) -> int:
    try:
        return path.lstat().st_dev
    except OSError:
        return -1


def _shared_memory(init: int) -> list[str]:
    """Return System V memory, semaphores and queues; the kernel shows those of the reader's namespace."""
    argv = ["nsenter", f"--target={init}", "--ipc", "grep", "-H", "", "/proc/sysvipc/shm"]
    argv += ["/proc/sysvipc/sem", "/proc/sysvipc/msg"]
    found = []
    for row in subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines():
        table, fields = row.split(":", 1)
        if fields.split()[0] != "key":  # the head line
            found.append(f"memory {Path(table).name} {fields.split()[1]}")
    return found


def _mounts(init: int) -> list[str]:
    rows = Path(f"/proc/{init}/mountinfo").read_text().splitlines()
    return [f"mount {row.split()[4]}" for row in rows]
