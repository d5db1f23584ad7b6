"""What all simulated programs share: log lines, faults, an orderly end on TERM.

In: the step's environment. Out: lines on standard output, and an exit code. Example::

    async def serve(program: Program) -> int:
        await program.load(["Loading weights", "Ready"])
        await program.stopped()  # TERM, or INT
        return 0
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NoReturn

from srtplan.rehearsal import faults
from srtplan.rehearsal.simulated.naming import Naming, naming
from srtplan.rehearsal.slurm.state import State

LOAD_S = 1.0
UNHEALTHY_AFTER_S = 2.0


class Program:
    """One simulated program in a step."""

    def __init__(self, state: State, name: str, *, load_s: float = LOAD_S) -> None:
        self.state, self.name = state, name
        self.environment = dict(os.environ)
        self.naming: Naming = naming(state)
        self.rank = int(self.environment.get("SLURM_PROCID", "0"))
        self.step = self.environment.get("SRT_STEP") or self.environment.get("SLURM_JOB_NAME", "")
        self.faults = {fault.kind: fault for fault in faults.for_step(self.environment, self.step)}
        self.started = float(self.environment.get("SRT_REHEARSAL_STEP_START", time.monotonic()))
        self.load_s = float(self.environment.get("SRT_REHEARSAL_LOAD", load_s))
        self.ready_at: float | None = None
        self.servers: list[asyncio.Server] = []
        self.connections: list[asyncio.StreamWriter] = []
        """Connections that live as long as the program: asyncio closes one that nobody refers to."""
        self.background: set[asyncio.Future[None]] = set()
        self._stop = asyncio.Event()

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

    def arm(self) -> None:
        """Take over the faults that end this program, and play those that come before anything listens."""
        folder = self.environment.get("SRT_REHEARSAL_STEP")
        if self.rank > 0:
            return
        if folder and Path(folder).is_dir():
            (Path(folder) / "claimed").touch()
        if "badconfig" in self.faults:
            self.exit_with(
                2,
                f"{self.name}: error: argument --fault: invalid choice (a fault of this rehearsal: badconfig)",
            )
        for kind in faults.ENDINGS:
            if kind in self.faults:
                delay = self.started + (self.faults[kind].at or 0.0) - time.monotonic()
                asyncio.get_running_loop().call_later(max(0.0, delay), self._end, kind)

    def _end(self, kind: str) -> None:
        if kind == "oom":
            self.say("torch.OutOfMemoryError: CUDA out of memory (a fault of this rehearsal: oom)")
            os.kill(os.getpid(), signal.SIGKILL)
        lines = ["Traceback (most recent call last):", f"RuntimeError: a fault of this rehearsal: {kind}"]
        self.exit_with(
            faults.ENDINGS[kind],
            *(lines if kind == "crash" else [f"exiting (a fault of this rehearsal: {kind})"]),
        )

    async def load(self, lines: list[str]) -> None:
        """Take the time that loading takes, with a line now and then; never return if the step is to hang."""
        seconds = self.faults["slow"].value if "slow" in self.faults else self.load_s
        for line in lines:
            self.say(line)
            await self._load_for((seconds or 0.0) / max(1, len(lines)))
        if "hang" in self.faults and self.faults["hang"].at is None:
            self.say("still loading (a fault of this rehearsal: hang)")
            await self._stop.wait()
            await self.finish()
        self.ready_at = time.monotonic()

    async def _load_for(self, seconds: float) -> None:
        """Load for a while; a TERM ends the program then and there, as it does a real engine that loads."""
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except asyncio.TimeoutError:
            return
        await self.finish()

    @property
    def is_ready(self) -> bool:
        """Tell whether the program answers health checks with success."""
        if self.ready_at is None:
            return False
        fault = self.faults.get("unhealthy")
        if fault is None:
            return True
        at = self.ready_at + UNHEALTHY_AFTER_S if fault.at is None else self.started + fault.at
        return time.monotonic() < at

    @property
    def is_stalled(self) -> bool:
        """Tell whether a hang with a time has begun: connections are accepted, nothing is answered."""
        fault = self.faults.get("hang")
        return fault is not None and fault.at is not None and time.monotonic() >= self.started + fault.at

    def watch_signals(self) -> None:
        """Let TERM and INT begin an orderly end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: signal.Signals) -> None:
        if "stubborn" in self.faults:
            self.say(f"ignoring {number.name} (a fault of this rehearsal: stubborn)")
        elif not self._stop.is_set():
            self.say(f"{number.name} received: shutting down gracefully")
            self._stop.set()

    async def stopped(self) -> None:
        """Return when the program has been asked to end."""
        await self._stop.wait()

    @property
    def is_stopping(self) -> bool:
        """Tell whether the program has been asked to end."""
        return self._stop.is_set()

    async def finish(self, *actions: Callable[[], Awaitable[None]]) -> NoReturn:
        """Do the last things of an orderly end, say so, and exit with 0."""
        for action in actions:
            await action()
        self.say("graceful shutdown complete")
        os._exit(0)


def run(program: Program, main: Callable[[Program], Coroutine[Any, Any, int]]) -> int:
    """Run a simulated program to its end and return its exit code."""

    async def body() -> int:
        program.watch_signals()
        program.arm()
        return await main(program)

    try:
        code = asyncio.run(body())
    except OSError as error:  # as a server that cannot bind or reach a peer
        program.say(f"{type(error).__name__}: {error}")
        code = 1
    sys.stdout.flush()
    os._exit(code)
