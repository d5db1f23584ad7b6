"""Faults that a rehearsal plays: ``STEP:KIND[=VALUE][@SECONDSs]``.

In: text such as ``decode_1:crash@5s``, ``worker_*:slow=4``, ``etcd:oom@2s``, ``node2:lost@5s``. STEP is a step's name,
or a pattern as in the shell. Seconds count from the start of the step. Out: a ``Fault``. Kinds:

=========  ===============================================================================
crash      exit 1
exit0      exit 0 although the step should go on
oom        SIGKILL itself, as the kernel's out-of-memory killer would: code 137
hang       never become ready; with a time: stop answering then
slow=S     take S seconds to load
unhealthy  become ready, then fail the health check (with a time: from then on, else 2 s after)
badconfig  exit 2 before listening
stubborn   ignore TERM
lost       the node fails: STEP is a node's name, seconds count from the start of the job
=========  ===============================================================================

The simulated programs play the faults themselves. A step that runs none (a benchmark that is a shell script) is
ended by its supervisor: ``Pending``.
"""

import re
import signal
import time
from fnmatch import fnmatchcase
from pathlib import Path

VARIABLE = "SRT_REHEARSAL_FAULTS"
ENDINGS = {"crash": 1, "exit0": 0, "oom": 128 + signal.SIGKILL}
KINDS = (*ENDINGS, "hang", "slow", "unhealthy", "badconfig", "stubborn", "lost")
GRACE_S = 2.0
"""How long a step may take to start a simulated program, before its supervisor plays the fault instead."""

_TEXT = re.compile(
    r"(?P<step>[^:\s]+):(?P<kind>[a-z0-9]+)(?:=(?P<value>\d+(?:\.\d+)?)s?)?(?:@(?P<at>\d+(?:\.\d+)?)s?)?\Z"
)


class FaultError(ValueError):
    """A fault that cannot be read, or that means no step; the text says what would be right."""


class Fault:
    """One fault: which step, what, with which value, how many seconds after the step's start."""

    def __init__(self, step: str, kind: str, value: float | None = None, at: float | None = None) -> None:
        self.step, self.kind, self.value, self.at = step, kind, value, at

    def __str__(self) -> str:
        """Return the text that ``parse`` reads."""
        value = "" if self.value is None else f"={self.value:g}"
        at = "" if self.at is None else f"@{self.at:g}s"
        return f"{self.step}:{self.kind}{value}{at}"


def parse(text: str) -> Fault:
    """Read one fault. Raises FaultError that says what is wrong and what would be right."""
    match = _TEXT.match(text)
    if match is None:
        raise FaultError(f"fault {text!r} is not STEP:KIND[=VALUE][@SECONDSs], for example decode_0:crash@5s")
    kind, value = match["kind"], match["value"]
    if kind not in KINDS:
        raise FaultError(f"fault {text!r}: no kind {kind!r}; there are {', '.join(KINDS)}")
    if (kind == "slow") != (value is not None):
        raise FaultError(
            f"fault {text!r}: slow needs a number of seconds (slow=4), the other kinds take none"
        )
    return Fault(
        match["step"], kind, float(value) if value else None, float(match["at"]) if match["at"] else None
    )


def is_meant(fault: Fault, step: str) -> bool:
    """Tell whether a fault means a step."""
    return fnmatchcase(step, fault.step)


def for_step(environment: dict[str, str], step: str) -> list[Fault]:
    """Return the faults of an environment that mean this step."""
    found = [parse(text) for text in environment.get(VARIABLE, "").split()]
    return [fault for fault in found if is_meant(fault, step)]


class Pending:
    """The endings that a step's supervisor plays if no simulated program of the step has taken them over."""

    def __init__(self, environment: dict[str, str], step: str, folder: Path) -> None:
        self._faults = [fault for fault in for_step(environment, step) if fault.kind in ENDINGS]
        self._claim = folder / "claimed"
        self._start = time.monotonic()
        self._code: int | None = None

    def is_due(self) -> bool:
        """Tell whether the step must end now; ``code`` then has its exit code."""
        if self._code is not None or not self._faults or self._claim.exists():
            return False
        for fault in self._faults:
            if time.monotonic() >= self._start + (fault.at or 0.0) + GRACE_S * (fault.at is None):
                self._code = ENDINGS[fault.kind]
                return True
        return False

    def code(self) -> int | None:
        """Return the exit code that the fault demands, None if none was played."""
        return self._code
