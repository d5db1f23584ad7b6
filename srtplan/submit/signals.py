"""Defer signals during a submission until the current step is done.

In: INT, TERM, HUP. Out: ``KeyboardInterrupt`` at the next ``check``. A second signal also kills the running command, which
may hang::

    with Signals() as signals:
        signals.check()
        signals.run(["sbatch", ...])
"""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from types import FrameType, TracebackType

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """Counts the signals that arrive inside the ``with`` block; outside the main thread it catches none."""

    def __init__(self) -> None:
        self.count = 0
        self._child: subprocess.Popen[str] | None = None
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal has arrived."""
        if self.count:
            raise KeyboardInterrupt

    def run(
        self, argv: Sequence[str], environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, shielded from the terminal's Ctrl-C. Raises OSError if it cannot start."""
        with subprocess.Popen(
            argv,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as child:
            self._child = child
            out, err = child.communicate()
            self._child = None
        return subprocess.CompletedProcess(argv, child.returncode, out, err)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 1 and self._child is not None:
            self._child.kill()

    def __enter__(self) -> Signals:  # noqa: PYI034 -- Self is not in Python 3.10
        """Install the handlers."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in NUMBERS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restore the previous handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
