"""Stand-in for srun: starts the tasks of one step on the simulated nodes and waits for them.

In: srun's argv, inside a job (or with ``--jobid``). Out: the highest exit code of the tasks, 128 + number for a
signal. As with the real one, the tasks belong to the step's own supervisor (``stepd.py``), not to srun: an srun
killed with KILL leaves its step running until the job ends.
"""

import os
import signal
import sys
import time
from types import FrameType

from srtplan.rehearsal import processes
from srtplan.rehearsal.slurm import stepd
from srtplan.rehearsal.slurm.options import SRUN, UsageError, complain, parse
from srtplan.rehearsal.slurm.request import request
from srtplan.rehearsal.slurm.state import State, signal_steps
from srtplan.rehearsal.slurm.version import VERSION

INTERRUPT_WINDOW_S = 1.0


def main(state: str, argv: list[str]) -> int:
    """Run one step and return its exit code."""
    try:
        options, words = parse(SRUN, argv)
        if "version" in options:
            sys.stdout.write(f"{VERSION}\n")
            return 0
        wanted = request(State(folder=stepd.folder_of(state)), options, words)
    except UsageError as error:
        complain(str(error))
        return error.code
    return _Launch(wanted).run()


class _Launch:
    """One srun that waits: forwards signals and prints how the tasks ended."""

    def __init__(self, wanted: stepd.Request) -> None:
        self.wanted = wanted
        self.supervisor = 0
        self.is_started = False
        self.pending: list[int] = []
        self.last_interrupt = -INTERRUPT_WINDOW_S

    def run(self) -> int:
        """Fork the supervisor, read its messages, return the step's exit code."""
        reader, writer = os.pipe()
        for number in (
            signal.SIGTERM,
            signal.SIGHUP,
            signal.SIGQUIT,
            signal.SIGINT,
            signal.SIGUSR1,
            signal.SIGUSR2,
        ):
            signal.signal(number, self._signal)
        try:
            self.supervisor = stepd.spawn(self.wanted, reader, writer)
        except UsageError as error:
            complain(str(error))
            return error.code
        os.close(writer)
        with os.fdopen(reader, encoding="utf-8", errors="replace") as messages:
            for line in messages:
                self._message(line.rstrip("\n"))
        _, status = os.waitpid(self.supervisor, 0)
        return processes.exit_code(status)

    def _message(self, line: str) -> None:
        if line == "started":
            self.is_started = True
            for number in self.pending:
                self._forward(number)
        else:
            complain(f"srun: {line}")

    def _signal(self, number: int, _frame: FrameType | None) -> None:
        """Treat a signal to srun as the real one does: TERM, HUP, QUIT kill hard; INT needs two."""
        if self.is_started:
            self._forward(number)
        else:
            self.pending.append(number)

    def _forward(self, number: int) -> None:
        if number == signal.SIGINT:
            self._interrupt()
        elif number in (signal.SIGUSR1, signal.SIGUSR2):
            signal_steps([self.supervisor], number)
        else:
            complain("srun: forcing job termination")
            processes.kill_below(self.supervisor)

    def _interrupt(self) -> None:
        now = time.monotonic()
        if now - self.last_interrupt < INTERRUPT_WINDOW_S:
            complain("srun: sending Ctrl-C to the step")
            processes.kill_below(self.supervisor)
        else:
            complain("srun: interrupt (one more within 1 sec to abort)")
        self.last_interrupt = now
