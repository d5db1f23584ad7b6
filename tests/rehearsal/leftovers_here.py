"""What a rehearsal must not leave on this machine."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

from busy import patient

from srtplan.rehearsal import processes

MARK = "SRTPLAN_TEST_MARK"


class Nothing:
    """Processes that this test has started, directly or not: they carry a mark in their environment.

    Others may rehearse on this machine at the same time.
    """

    def __init__(self) -> None:
        self.mark = f"{MARK}={uuid.uuid4().hex}"

    def added(self) -> set[int]:
        """Return the marked processes, ours left out."""
        return processes.with_marker(self.mark) - {os.getpid()}

    def is_left(self, timeout: float = 15.0) -> bool:
        """Tell whether nothing of it is left, after a moment in which it may end."""
        end = time.monotonic() + patient(timeout)
        while self.added():
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    @staticmethod
    def command(pid: int) -> str:
        """Return the command line of a process, empty if it has ended."""
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""

    @staticmethod
    def is_leader(pid: int) -> bool:
        """Tell whether a process was started as a program: its forks have a parent with the same command line."""
        parent = processes.table().get(pid, 0)
        return Nothing.command(parent) != Nothing.command(pid)
