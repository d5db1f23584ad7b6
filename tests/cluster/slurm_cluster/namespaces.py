"""Processes and namespaces of the kernel, as the cluster needs them.

start([..argv..], log) -> Started(unshare=pid, init=pid)     a command as PID 1 of new namespaces
enter(pid, ["ps"], env=..., cwd=..., cgroup="") -> 0         a command in all namespaces of a process
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

KINDS = {
    "mnt": 0x00020000,
    "cgroup": 0x02000000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "pid": 0x20000000,
    "net": 0x40000000,
}
UNSHARE = (
    *("unshare", "--pid", "--net", "--uts", "--mount", "--ipc"),
    *("--fork", "--kill-child", "--mount-proc", "--propagation", "private"),
)
FREEZER = Path("/sys/fs/cgroup/freezer")
PR_SET_PDEATHSIG = 1
CANNOT_ENTER, NOT_FOUND = 126, 127
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

_libc = ctypes.CDLL(None, use_errno=True)


def start_time(pid: int) -> str:
    """Return when a process started, in clock ticks; "" if there is none, or only its zombie.

    With the pid it names a process for good. The PID 1 of a pid namespace becomes a zombie only when its
    namespace is empty, so "" also says that nothing of a namespace is left.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def children(pid: int) -> list[int]:
    """Return the pids of a process's children."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def argv_of(pid: int) -> list[str]:
    """Return a process's command line; [] if it is gone."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [word.decode(errors="replace") for word in raw.split(b"\0")[:-1]]


def start(argv: Sequence[str | Path], log: Path) -> subprocess.Popen[bytes]:
    """Start a command as PID 1 of new namespaces; its output is appended to `log`.

    Returns the process of `unshare`; `children` of its pid has the PID 1 as soon as it exists.
    """
    with log.open("ab") as out:
        return subprocess.Popen(
            [*UNSHARE, *argv], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )


def wait_for_init(unshare: subprocess.Popen[bytes]) -> int:
    """Return the pid of the PID 1 that `unshare` creates; 0 if `unshare` ended first."""
    while not children(unshare.pid):
        if unshare.poll() is not None:
            return 0
        time.sleep(0.002)
    return children(unshare.pid)[0]


def unshare_cgroup(cgroup: str) -> None:
    """Move this process into a freezer cgroup and make that the root of the hierarchy that it sees."""
    join_cgroup(cgroup)
    if _libc.unshare(KINDS["cgroup"]):
        raise OSError(ctypes.get_errno(), "unshare cgroup")
    # mounting over the old one without the umount gives EBUSY
    subprocess.run(["umount", FREEZER], check=True)
    subprocess.run(["mount", "-t", "cgroup", "-o", "freezer", "cgroup", FREEZER], check=True)


def join_cgroup(cgroup: str) -> None:
    """Move this process into a cgroup, if one is given."""
    if cgroup:
        Path(cgroup, "cgroup.procs").write_text("0")


def remove_cgroup(cgroup: str) -> None:
    """Remove a cgroup and all below it. OSError: a process is still in it."""
    for top, _, _ in os.walk(cgroup, topdown=False):
        Path(top).rmdir()


def thaw(cgroup: str) -> None:
    """Thaw a cgroup, because frozen processes cannot end."""
    for top, _, _ in os.walk(cgroup):
        with contextlib.suppress(OSError):  # its slurmstepd has just removed it
            Path(top, "freezer.state").write_text("THAWED")


def enter(pid: int, argv: Sequence[str], *, env: Mapping[str, str], cwd: str, cgroup: str) -> int:
    """Run a command in all namespaces of `pid`, forward signals, return its exit status (128 + signal)."""
    fds = {kind: os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY) for kind in KINDS}
    # Entering a pid namespace takes effect for children only. The child enters the others, so that this
    # process stays where it is, and can wait and forward.
    if _libc.setns(fds["pid"], KINDS["pid"]):
        raise OSError(ctypes.get_errno(), "setns pid")
    child = os.fork()
    if child == 0:
        _become(fds, argv, env=env, cwd=cwd, cgroup=cgroup)
    for number in FORWARDED:
        signal.signal(number, lambda received, _frame: os.kill(child, received))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _become(
    fds: Mapping[str, int], argv: Sequence[str], *, env: Mapping[str, str], cwd: str, cgroup: str
) -> None:
    """Turn this child into the command, inside the namespaces. It does not return."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    join_cgroup(cgroup)
    for kind in ("cgroup", "ipc", "uts", "net", "mnt"):
        if _libc.setns(fds[kind], KINDS[kind]):
            os._exit(CANNOT_ENTER)
    for fd in fds.values():
        os.close(fd)
    try:
        os.chdir(cwd)
    except OSError as error:
        os.write(
            2, f"cluster: cannot work in {cwd}, which is not shared: {error.strerror}; going to /\n".encode()
        )
        os.chdir("/")
    try:
        os.execvpe(argv[0], list(argv), dict(env))  # noqa: S606 (a shell is what we avoid)
    except OSError as error:
        os.write(2, f"cluster: {argv[0]}: {error.strerror}\n".encode())
        os._exit(NOT_FOUND)
