"""Ranks of an MPI step: files in the step's folder of the state, since MPI needs no port of the plan.

In: SLURM_PROCID and SLURM_NTASKS. Out: rank 0 goes on when all ranks are there; the others end when rank 0 does.
"""

import asyncio
from pathlib import Path

from srtplan.rehearsal import processes
from srtplan.rehearsal.simulated.program import Program

POLL_S = 0.1


def _folder(program: Program) -> Path | None:
    text = program.environment.get("SRT_REHEARSAL_STEP")
    return Path(text) if text else None


def _arrive(program: Program, folder: Path) -> None:
    (folder / f"mpi.{program.rank}").write_text(processes.own_identity(), encoding="ascii")


async def join_mpi(program: Program) -> None:
    """As rank 0: wait for all other ranks of the step."""
    folder, count = _folder(program), int(program.environment.get("SLURM_NTASKS", "1"))
    if folder is None or count <= 1:
        return
    _arrive(program, folder)
    program.say(f"MPI: waiting for {count} ranks")
    while len(list(folder.glob("mpi.*"))) < count:
        if program.is_stopping:
            await program.finish()
        await asyncio.sleep(POLL_S)
    program.say(f"MPI: {count} ranks are there")


async def serve_rank(program: Program) -> int:
    """As another rank: be there until TERM, or until rank 0 has gone."""
    folder = _folder(program)
    if folder is None:
        return 0
    _arrive(program, folder)
    program.say(f"MPI: rank {program.rank} waits for work")
    leader = folder / "mpi.0"
    while not program.is_stopping:
        known = leader.read_text(encoding="ascii") if leader.exists() else ""
        if known and not processes.is_alive(known):
            program.say("MPI: rank 0 has ended")
            return 0
        await asyncio.wait({asyncio.ensure_future(program.stopped())}, timeout=POLL_S * 5)
    await program.finish()
