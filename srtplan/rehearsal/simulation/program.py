"""What all simulated programs share: log lines, faults, an orderly end on TERM.

In: the step's environment. Out: lines on standard output, and an exit code. A behavior is a module with ``main``::

    def main(program: Program, flags: Flags) -> int:
        program.load(["Loading weights"])
        serve(program, "0.0.0.0", 8000, answer)
        program.serve()

Servers answer in threads of their own. Only the main thread waits for signals, in ``pause``.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NoReturn

from srtplan.rehearsal import faults
from srtplan.rehearsal.simulation.naming import Naming
from srtplan.rehearsal.simulation.writing import is_own
from srtplan.rehearsal.slurm.state import State, read

LOAD_S = 1.0
UNHEALTHY_AFTER_S = 2.0
LOST_S = 2.0
"""When a peer has gone: how long to wait for a TERM of our own, since steps are stopped together."""
SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})


class Program:
    """One simulated program in a step."""

    def __init__(self, state: State, name: str) -> None:
        self.state, self.name = state, name
        self.environment = dict(os.environ)
        self.naming = Naming(state, self.environment)
        self.step = self.environment.get("SRT_STEP") or self.environment.get("SLURM_JOB_NAME", "")
        self.faults = {fault.kind: fault for fault in faults.for_step(self.environment, self.step)}
        self.started = float(self.environment.get("SRT_REHEARSAL_STEP_START", time.monotonic()))
        self.ready_at: float | None = None

    def say(self, text: str) -> None:
        """Print a log line with the time, as engines do."""
        now = datetime.now(tz=timezone.utc).astimezone()
        sys.stdout.write(f"[{now:%Y-%m-%d %H:%M:%S}] {text}\n")
        sys.stdout.flush()

    def exit_with(self, code: int, *lines: str) -> NoReturn:
        """Print lines and end at once with a code, without any tidying, as a crash does."""
        for line in lines:
            self.say(line)
        os._exit(code)

    def plan(self) -> dict[str, Any]:
        """Return plan.json of the job, empty where the cluster was raised without one."""
        return dict(json.loads(read(self.state.folder / "plan.json") or "{}"))

    def require(self, path: str) -> str:
        """Return the text of a file that the command line names; end with 1 if it cannot be read, as an engine would."""
        try:
            return self.naming.path(path).read_text(encoding="utf-8") if path else ""
        except OSError as error:
            self.exit_with(1, f"FileNotFoundError: {path}: {error.strerror}")

    def write(self, path: str, data: bytes, mode: str = "wb") -> None:
        """Write a file that the command line names, if it is the rehearsal's own."""
        if not is_own(path, self.state, self.environment):
            self.say(f"{path} is not written, as it is outside of the run directory")
            return
        target = self.naming.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open(mode) as file:
            file.write(data)
        self.say(f"{path} written")

    def arm(self) -> None:
        """Take over the faults that end this program, and play those that come before anything listens."""
        folder = self.environment.get("SRT_REHEARSAL_STEP")
        if self.environment.get("SLURM_PROCID", "0") != "0":
            return
        if folder and Path(folder).is_dir():
            (Path(folder) / "claimed").touch()
        if "badconfig" in self.faults:
            text = "argument --fault: invalid choice (a fault of this rehearsal: badconfig)"
            self.exit_with(2, f"{self.name}: error: {text}")
        for kind in faults.ENDINGS:
            if kind in self.faults:
                after(self.started + (self.faults[kind].at or 0.0) - time.monotonic(), self._end, kind)

    def _end(self, kind: str) -> None:
        if kind == "oom":
            self.say("torch.OutOfMemoryError: CUDA out of memory (a fault of this rehearsal: oom)")
            os.kill(os.getpid(), signal.SIGKILL)
        lines = [f"exiting (a fault of this rehearsal: {kind})"]
        if kind == "crash":
            lines = ["Traceback (most recent call last):", f"RuntimeError: a fault of this rehearsal: {kind}"]
        self.exit_with(faults.ENDINGS[kind], *lines)

    def load(self, lines: Sequence[str] = (), seconds: float = 0.0) -> None:
        """Take the time that loading takes, with a line now and then; never return if the step is to hang."""
        total = float(self.environment.get("SRT_REHEARSAL_LOAD", seconds))
        if "slow" in self.faults:
            total = self.faults["slow"].value or 0.0
        for line in lines:
            self.say(line)
            self.pause(total / len(lines))
        if not lines:
            self.pause(total)
        if "hang" in self.faults and self.faults["hang"].at is None:
            self.say("still loading (a fault of this rehearsal: hang)")
            self.serve()
        self.ready_at = time.monotonic()

    @property
    def is_ready(self) -> bool:
        """Tell whether the program answers health checks with success."""
        fault = self.faults.get("unhealthy")
        if self.ready_at is None or fault is None:
            return self.ready_at is not None
        at = self.ready_at + UNHEALTHY_AFTER_S if fault.at is None else self.started + fault.at
        return time.monotonic() < at

    @property
    def is_stalled(self) -> bool:
        """Tell whether a hang with a time has begun: connections are accepted, nothing is answered."""
        fault = self.faults.get("hang")
        return fault is not None and fault.at is not None and time.monotonic() >= self.started + fault.at

    def pause(self, seconds: float) -> None:
        """Wait, in the main thread; TERM and INT end the program in order."""
        end = time.monotonic() + seconds
        while caught := signal.sigtimedwait(SIGNALS, max(0.0, end - time.monotonic())):
            name = signal.Signals(caught.si_signo).name
            if "stubborn" not in self.faults:
                self.exit_with(0, f"{name} received: shutting down gracefully", "graceful shutdown complete")
            self.say(f"ignoring {name} (a fault of this rehearsal: stubborn)")

    def serve(self) -> NoReturn:
        """Wait for TERM."""
        while True:
            self.pause(3600)

    def lose(self, message: str) -> None:
        """End with 1 because a peer is gone, unless this program receives TERM as well."""
        time.sleep(LOST_S)
        self.exit_with(1, message)


def after(seconds: float, action: Any, *words: object) -> None:  # noqa: ANN401 (a function of these words)
    """Call a function later, in a thread that ends with the program."""
    timer = threading.Timer(max(0.0, seconds), action, words)
    timer.daemon = True
    timer.start()
