"""An MPI rank above 0: there until TERM, or until rank 0 has ended. One process per GPU, so it imports next to nothing.

In: SLURM_PROCID and the step's folder. Out: a file ``mpi.RANK`` in that folder, and exit code 0.
"""

import os
import signal
import sys
from pathlib import Path

from srtplan.rehearsal import processes

POLL_S = 0.5


def arrive(folder: str, rank: int) -> None:
    """Note that a rank is there: its file holds the identity of its process."""
    draft = Path(folder) / f".mpi.{rank}"
    draft.write_text(processes.own_identity(), encoding="ascii")
    draft.rename(Path(folder) / f"mpi.{rank}")


def _leader(folder: str) -> str:
    try:
        return (Path(folder) / "mpi.0").read_text(encoding="ascii")
    except FileNotFoundError:
        return ""


def serve() -> int:
    """Be one rank of ``trtllm-llmapi-launch`` and return its exit code."""
    folder, rank = os.environ.get("SRT_REHEARSAL_STEP", ""), int(os.environ["SLURM_PROCID"])
    if not folder:
        return 0
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    arrive(folder, rank)
    _say(f"MPI: rank {rank} waits for work")
    while True:
        caught = signal.sigtimedwait(ends, POLL_S)
        if caught is not None:
            _say(f"MPI: rank {rank}: graceful shutdown complete")
            return 0
        leader = _leader(folder)
        if leader and not processes.is_alive(leader):
            _say(f"MPI: rank {rank}: rank 0 has ended")
            return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
