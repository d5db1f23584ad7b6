"""Entry of every stand-in: ``python3 -I -S -E start.py NAME STATE WORDS...``.

In: the name of a command, the state folder of the rehearsal, the command's own words. Out: its exit code.
The stubs on PATH call this file by its absolute path, so that neither the environment of a step nor its
working directory decides which code runs.
"""

import os
import sys

SLURM = ("srun", "scancel", "squeue", "scontrol", "keeper")
OWN = "own"
"""Asked by shell text whether a path belongs to the rehearsal."""


def main(argv: list[str]) -> int:
    """Run the stand-in that argv names and return its exit code."""
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # noqa: PTH100, PTH120
    name, state, words = argv[0], argv[1], argv[2:]
    module = f"slurm.{name}" if name in SLURM else "simulation.start"
    module = "simulation.writing" if name == OWN else module
    loaded = __import__(f"srtplan.rehearsal.{module}", fromlist=["main"])
    code: int = loaded.main(name, state, words) if module.endswith(".start") else loaded.main(state, words)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
