"""What stands in for the programs of a Plan: which program of which step, and which behavior of ``simulated/`` it gets.

In: plan.json as a dict. Out: a ``StandIn`` per program and wrapper of every step and run. Where the Plan says nothing, the
first word of the command gets the generic behavior, unless it is a command of the operating system. Programs that are
started by their path run as they are: only names are looked up in PATH.
"""

import importlib
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from srtplan.rehearsal import simulated
from srtplan.rehearsal.simulation.start import WRAPPER

BEHAVIORS = Path(simulated.__file__).parent
SERVER, CLIENT, REAL = "server", "client", "real"
SYSTEM = {"/bin", "/sbin", "/usr/bin", "/usr/sbin"}
PYTHON = re.compile(r"python[\d.]*\Z")
FUNCTION = re.compile(r"\w+::\w+\Z")


class StandInError(ValueError):
    """A stand-in that the rehearsal does not have; the text names it."""


class StandIn:
    """``program`` of ``step`` (``*`` for any) gets ``behavior``; behind a wrapper, its program begins at ``begins``."""

    def __init__(self, step: str, program: str, behavior: str, begins: Sequence[str] = ()) -> None:
        self.step, self.program, self.behavior, self.begins = step, program, behavior, tuple(begins)

    @property
    def line(self) -> str:
        """The line for ``simulation/start.py``."""
        return " ".join([self.step, self.behavior, *self.begins])


def declared(plan: Mapping[str, Any]) -> list[StandIn]:
    """Return the stand-ins of a Plan. Raises StandInError for a behavior that does not exist."""
    found: list[StandIn] = []
    has_text = False
    for step in plan.get("steps", ()):
        runs = step.get("runs") or ()
        for command in runs or (step,):
            has_text |= bool(runs) and command.get("stand_in", {}).get("behavior") == REAL
            found += _of(step["name"], command, default=CLIENT if runs else SERVER)
    return found + (_clients() if has_text else [])


def _of(step: str, command: Mapping[str, Any], default: str) -> Iterator[StandIn]:
    """Yield the stand-ins of one command: its wrappers', and its program's."""
    own = command.get("stand_in", {})
    behavior, wrappers = own.get("behavior", SERVER), own.get("wrappers", [])
    if behavior == REAL:
        return
    if behavior == SERVER:
        behavior = default
    program = own.get("program") or _program(command.get("argv") or (), wrappers)
    if not program or "/" in program or (not own and _is_of_the_system(program)):
        return
    _check(step, behavior)
    yield StandIn(step, program, behavior)
    for index, wrapper in enumerate(wrappers):
        yield StandIn(step, wrapper, WRAPPER, [*wrappers[index + 1 :], program, "python", "python3"])


def _program(argv: Sequence[str], wrappers: Sequence[str]) -> str:
    """Return the program of a command, or its module where that is Python; empty where no name can be replaced."""
    words = list(argv)
    while words and FUNCTION.match(words[0]):  # of the bundle's library: it runs what stands behind "--"
        words = words[words.index("--") + 1 :] if "--" in words else []
    if wrappers and wrappers[-1] in words:
        words = words[words.index(wrappers[-1]) + 1 :]
    if words and PYTHON.match(words[0]):
        options = [word for word in words[1:3] if word != "-u"]
        return words[words.index("-m") + 1] if options[:1] == ["-m"] else ""
    return words[0] if words else ""


def _is_of_the_system(program: str) -> bool:
    """Tell whether a name is a command of the operating system here: a shell, ``sleep``, ``env``."""
    path = shutil.which(program)
    return path is not None and str(Path(path).parent) in SYSTEM


def _check(step: str, behavior: str) -> None:
    known = sorted(path.stem for path in BEHAVIORS.glob("[!_]*.py"))
    if behavior not in known:
        raise StandInError(
            f"step {step!r}: unknown behavior {behavior!r} of a stand-in; there are {', '.join(known)}"
        )


def _clients() -> list[StandIn]:
    """Return clients by the names that shell text may call them by: a custom benchmark's programs are not in the Plan."""
    found: list[StandIn] = []
    for path in sorted(BEHAVIORS.glob("[!_]*.py")):
        module = importlib.import_module(f"{simulated.__name__}.{path.stem}")
        found += [StandIn("*", name, path.stem) for name in getattr(module, "COMMANDS", ())]
    return found
