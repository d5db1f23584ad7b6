"""Ranks of an MPI step: files in the step's folder of the state, since MPI needs no port of the plan.

In: SLURM_PROCID and SLURM_NTASKS. Out: rank 0 goes on when all ranks are there. The others are ``mpi_rank.py``.
"""

import asyncio
from pathlib import Path

from srtplan.rehearsal.simulated import mpi_rank
from srtplan.rehearsal.simulated.program import Program

POLL_S = 0.1


async def join_mpi(program: Program) -> None:
    """As rank 0: wait for all other ranks of the step."""
    text, count = (
        program.environment.get("SRT_REHEARSAL_STEP", ""),
        int(program.environment.get("SLURM_NTASKS", "1")),
    )
    if not text or count <= 1:
        return
    mpi_rank.arrive(text, program.rank)
    program.say(f"MPI: waiting for {count} ranks")
    while _arrived(text) < count:
        if program.is_stopping:
            await program.finish()
        await asyncio.sleep(POLL_S)
    program.say(f"MPI: {count} ranks are there")


def _arrived(folder: str) -> int:
    return len(list(Path(folder).glob("mpi.*")))
