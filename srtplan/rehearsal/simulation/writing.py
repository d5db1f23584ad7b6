"""Where simulated programs may write: only where the rehearsal's own files are.

In: a path as the step sees it, and the step's environment. Out: whether it lies in the run directory, in the folder of the
rehearsal, or in a scratch directory of the job. A recipe may name any other place, such as a shared data set or a folder of
profiles. There a simulated program only says what it would write: made-up content must never stand for the real file.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from srtplan.rehearsal.simulation.naming import mounts
from srtplan.rehearsal.slurm.state import State

VIEW = "SRT_REHEARSAL_VIEW"
"""Variable with the ``--container-mounts`` of the step."""
SCRATCH = Path("/tmp")  # noqa: S108 (where a bundle puts its scratch directories)


def main(state: str, words: list[str]) -> int:
    """Tell shell text, by exit code 0, whether a path belongs to the rehearsal."""
    return 0 if is_own(words[0], State(state), os.environ) else 1


def is_own(path: Path | str, state: State, environment: Mapping[str, str]) -> bool:
    """Tell whether ``path``, with all links followed, belongs to the rehearsal; always without a run directory."""
    run = environment.get("SRT_RUN_DIR", "")
    if not run:
        return True
    absolute = os.path.abspath(path)  # noqa: PTH100 (Path.absolute keeps "..")
    for target, source in mounts(environment.get(VIEW, "")):
        if absolute == target or absolute.startswith(target.rstrip("/") + "/"):
            if state.has_namespaces and not Path(source).exists():
                return True  # an empty folder of the step stands for it
            absolute = source + absolute[len(target.rstrip("/")) :]
            break
    place = Path(absolute).resolve()
    roots = (Path(run).resolve(), state.folder.parent.resolve())
    prefix = f"srtplan-{environment.get('SLURM_JOB_ID', '')}-"
    return any(place.is_relative_to(root) for root in roots) or (
        place.parent != SCRATCH
        and place.is_relative_to(SCRATCH)
        and place.relative_to(SCRATCH).parts[0].startswith(prefix)
    )
