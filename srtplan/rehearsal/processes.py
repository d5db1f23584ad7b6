"""Processes of this machine: who descends from whom, is it still the same one, end them all.

In: process ids. Out: sets of process ids, read from /proc. Example::

    become_subreaper()  # orphans of my children become my children
    kill_below(pid)  # a whole tree, whether or not it called setsid
"""

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def _prctl(option: int, value: int) -> None:
    """Call prctl(2); raises OSError if the kernel refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def become_subreaper() -> None:
    """Make this process the parent of every descendant whose own parent ends."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """Send this process SIGKILL when its parent ends, at once if it has ended already."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(137)


def _stat(pid: int) -> list[bytes]:
    """Return the fields of /proc/PID/stat after the name: [state, ppid, ...]; empty if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return []


def identity(pid: int) -> str:
    """Return ``PID START``, which no later process will have; empty if the process is gone or a zombie."""
    fields = _stat(pid)
    return "" if not fields or fields[0] in b"ZX" else f"{pid} {fields[19].decode()}"


def is_alive(known: str) -> bool:
    """Tell whether the process that ``identity`` described still runs."""
    return bool(known) and identity(int(known.split(maxsplit=1)[0])) == known


def table() -> dict[int, int]:
    """Return the parent of every process that is not a zombie."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields and fields[0] not in b"ZX":
                parents[int(entry.name)] = int(fields[1])
    return parents


def descendants(*roots: int) -> set[int]:
    """Return all processes below the given ones, these not included."""
    children: dict[int, list[int]] = {}
    for pid, parent in table().items():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        below = children.get(waiting.pop(), [])
        waiting += [pid for pid in below if pid not in found]
        found.update(below)
    return found


def send(pids: Iterable[int], number: int) -> None:
    """Send a signal to each process that still exists and is ours."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended meanwhile
            os.kill(pid, number)


def children(*roots: int) -> set[int]:
    """Return the processes whose parent is one of the given ones."""
    wanted = set(roots)
    return {pid for pid, parent in table().items() if parent in wanted}


def is_childless() -> bool:
    """Tell whether this process has no child, not even one that has ended; much cheaper than a look at /proc."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return False


def kill_below(*roots: int, seconds: float = 5.0) -> bool:
    """SIGKILL everything below the roots until nothing is left; False if something outlived the given time.

    A fork bomb of short-lived children could escape one look at /proc, hence the repetition. Nothing is reaped here:
    how a child ended is its parent's to learn.
    """
    if roots == (os.getpid(),) and is_childless():
        return True
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = descendants(*roots)
        if not found:
            return True
        send(found, signal.SIGKILL)
        time.sleep(0.01)
    return not descendants(*roots)


def reap() -> list[tuple[int, int]]:
    """Collect all children that have ended: (pid, wait status)."""
    ended: list[tuple[int, int]] = []
    with contextlib.suppress(ChildProcessError):  # there are none
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            ended.append((pid, status))
    return ended


def exit_code(status: int) -> int:
    """Return the shell's exit code for a wait status: 128 + number for a signal."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def with_marker(marker: str) -> set[int]:
    """Return the processes whose environment at their exec held ``marker`` (``NAME=value``)."""
    return {pid for pid in table() if marker.encode() in _environment(pid)}


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # ended, or not ours
        return []
