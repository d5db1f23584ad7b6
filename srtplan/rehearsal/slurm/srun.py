"""Stand-in for srun: starts the tasks of one step on the simulated nodes and waits for them.

In: srun's argv, inside a job (or with ``--jobid``). Out: the highest exit code of the tasks, 128 + number for a
signal. As with the real one, the tasks belong to the step's own supervisor (``stepd.py``), not to srun: an srun
killed with KILL leaves its step running until the job ends.
"""

import os
import signal
import time
from types import FrameType

from srtplan.rehearsal import processes
from srtplan.rehearsal.slurm import options, stepd
from srtplan.rehearsal.slurm.options import complain
from srtplan.rehearsal.slurm.request import Request, request
from srtplan.rehearsal.slurm.state import State, signal_steps

INTERRUPT_WINDOW_S = 1.0


def main(state: str, argv: list[str]) -> int:
    """Run one step and return its exit code."""
    return options.run(
        options.SRUN, argv, lambda given, words: _Launch(request(State(state), given, words)).run()
    )


class _Launch:
    """One srun that waits: forwards signals and prints how the tasks ended."""

    def __init__(self, wanted: Request) -> None:
        self.wanted = wanted
        self.supervisor = 0
        self.is_started = False
        self.pending: list[int] = []
        self.last_interrupt = -INTERRUPT_WINDOW_S

    def run(self) -> int:
        """Fork the supervisor, read its messages, return the step's exit code. Raises UsageError."""
        reader, writer = os.pipe()
        for number in stepd.FORWARDED:
            signal.signal(number, self._signal)
        self.supervisor = stepd.spawn(self.wanted, reader, writer)
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
        if self.is_started:
            self._forward(number)
        else:
            self.pending.append(number)

    def _forward(self, number: int) -> None:
        """Treat a signal to srun as the real one does: TERM, HUP, QUIT kill hard; INT needs two."""
        if number == signal.SIGINT and time.monotonic() - self.last_interrupt >= INTERRUPT_WINDOW_S:
            complain("srun: interrupt (one more within 1 sec to abort)")
            self.last_interrupt = time.monotonic()
        elif number in (signal.SIGUSR1, signal.SIGUSR2):
            signal_steps([self.supervisor], number)
        else:
            is_second = number == signal.SIGINT
            complain(f"srun: {'sending Ctrl-C to the step' if is_second else 'forcing job termination'}")
            processes.kill_below(self.supervisor)
