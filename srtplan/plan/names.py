"""Names of steps: ``prefill_0``, ``decode_1_r2`` for the third rank of a worker that has a step per rank."""

from __future__ import annotations

from srtplan.ir.topology import Process
from srtplan.plugin import Engine


def worker_step(engine: Engine, process: Process, peers: int) -> str:
    """The step that a process is, or belongs to; ``peers`` is the number of processes of its worker."""
    name = f"{process.mode}_{process.endpoint}"
    return name + (f"_r{process.rank}" if peers > 1 and engine.launch == "process" else "")
