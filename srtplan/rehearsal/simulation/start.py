"""From the name of a program, or a Python module, to what the Plan says stands in for it.

In: name, state folder, argv. Out: exit code. The line of the own step in ``STATE/stand-ins/NAME`` counts, else the one
for any step (``*``), else the first::

    STEP BEHAVIOR
    STEP wrapper WORD...      the program behind begins at the first of these words
"""

import os
import signal
import sys
from pathlib import Path

from srtplan.rehearsal.simulation.flags import Flags
from srtplan.rehearsal.slurm.state import State, read

WRAPPER = "wrapper"
BEHAVIORS = "srtplan.rehearsal.simulated"


def main(name: str, state: str, words: list[str]) -> int:
    """Run what stands in for a program and return its exit code."""
    lines = [line.split() for line in read(Path(state) / "stand-ins" / name).splitlines()]
    steps = {line[0]: line[1:] for line in reversed(lines)}
    own = os.environ.get("SRT_STEP") or os.environ.get("SLURM_JOB_NAME", "")
    behavior, *begins = steps.get(own) or steps.get("*") or lines[0][1:]
    if behavior == WRAPPER:
        return wrap(name, words, begins)
    return behave(behavior, name, state, words)


def behave(behavior: str, name: str, state: str, words: list[str]) -> int:
    """Be a program and return its exit code."""
    from srtplan.rehearsal.simulation.program import SIGNALS, Program  # noqa: PLC0415 (wrappers must not pay for it)

    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    program = Program(State(state), name)
    program.arm()
    module = __import__(f"{BEHAVIORS}.{behavior}", fromlist=["main"])
    try:
        code: int = module.main(program, Flags(words))
    except OSError as error:  # as a server that cannot bind or reach a peer
        program.say(f"{type(error).__name__}: {error}")
        code = 1
    sys.stdout.flush()
    os._exit(code)


def wrap(name: str, words: list[str], begins: list[str]) -> int:
    """Do what the wrapper does itself, if anything, and become the program behind it."""
    start = next((index for index, word in enumerate(words) if word in begins), len(words))
    options, command = words[:start], words[start:]
    sys.stdout.write(f"{name} (simulated): {' '.join(command) or 'nothing to run'}\n")
    sys.stdout.flush()
    module = name.replace("-", "_")
    if (Path(__file__).parents[1] / "simulated" / "wrappers" / f"{module}.py").is_file():
        __import__(f"{BEHAVIORS}.wrappers.{module}", fromlist=["prepare"]).prepare(Flags(options))
    if not command:
        return 0
    try:
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"{name}: {command[0]}: {error.strerror}\n")
        return 127
