"""Stand-in for scontrol, with ``release ID`` for held jobs; the rehearsal's own answers everything else."""

import sys

from srtplan.rehearsal.slurm import scontrol
from srtplan.rehearsal.slurm.state import State
from stand_in_slurm.controller import tell


def main(state: str, argv: list[str]) -> int:
    """Answer one command and return its exit code."""
    if argv[:1] != ["release"]:
        return scontrol.main(state, argv)
    for number in argv[1:]:
        job = State(state).job(number)
        if job is None or job.is_over:
            why = "Invalid job id specified" if job is None else "Job has already finished"
            sys.stderr.write(f"{why} for job {number}\nslurm_suspend error: {why}\n")
            return 1
        tell(State(state), f"release {number}")
    return 0
