"""Stand-in for sbatch: hands a copy of the script to the controller.

In: ``sbatch [options] script [args]``. Out: ``Submitted batch job 7`` (``--parsable``: ``7``).
"""

import os
import sys
from pathlib import Path

from srtplan.rehearsal.slurm import batch, options
from srtplan.rehearsal.slurm.state import State
from stand_in_slurm.controller import tell


def main(state: str, argv: list[str]) -> int:
    """Submit one script and return an exit code."""
    return options.run(options.SBATCH, argv, lambda given, words: _submit(State(state), given, words))


def _submit(state: State, given: dict[str, str], words: list[str]) -> int:
    if not words:
        raise options.UsageError("sbatch: error: no script", 1)
    path, own = Path(words[0]), dict(os.environ)
    job = batch.create(state, path.absolute(), given, own=own, here=Path.cwd(), arguments=words[1:])
    is_held = "hold" in given or "--hold" in batch.directives(path.read_text(errors="replace"))
    if not tell(state, f"{'hold' if is_held else 'submit'} {job.number}"):
        text = "Batch job submission failed: Unable to contact slurm controller (connect failure)"
        raise options.UsageError(f"sbatch: error: {text}", 1)
    sys.stdout.write(f"{job.number}\n" if "parsable" in given else f"Submitted batch job {job.number}\n")
    return 0
