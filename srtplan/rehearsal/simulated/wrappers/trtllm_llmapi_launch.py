"""``trtllm-llmapi-launch`` in an MPI step: rank 0 runs the command, the other ranks wait for work.

In: SLURM_PROCID and the step's folder of the state. Out: ranks above 0 end with 0 on TERM, or when rank 0 has ended.
One such process runs per GPU, so the module imports next to nothing.
"""

import os
import signal
import sys
from pathlib import Path

from srtplan.rehearsal import processes
from srtplan.rehearsal.simulation.flags import Flags
from srtplan.rehearsal.slurm.state import read, write

POLL_S = 0.5
ENDS = frozenset({signal.SIGTERM, signal.SIGINT})


def prepare(_options: Flags) -> None:
    """Return in rank 0 only."""
    rank, folder = os.environ.get("SLURM_PROCID", "0"), os.environ.get("SRT_REHEARSAL_STEP", "")
    leader = Path(folder) / "mpi.0"
    if rank == "0":
        if folder:  # the process stays the same one when it becomes the server
            write(leader, processes.identity(os.getpid()))
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    _say(f"MPI: rank {rank} waits for work")
    while signal.sigtimedwait(ENDS, POLL_S) is None:
        if leader.exists() and not processes.is_alive(read(leader)):
            _say(f"MPI: rank {rank}: rank 0 has ended")
            sys.exit(0)
    _say(f"MPI: rank {rank}: graceful shutdown complete")
    sys.exit(0)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
