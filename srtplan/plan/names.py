"""Names of steps: ``prefill_0``, ``decode_1_r2`` for the third rank of a worker that has a step per rank."""

from __future__ import annotations

from srtplan import plugin
from srtplan.ir.topology import Process
from srtplan.plugin import JobContext


def worker_step(job: JobContext, process: Process) -> str:
    """The step that a process is, or belongs to."""
    engine = plugin.engine(job.recipe.engine.type)
    peers = [p for p in job.topology.processes if (p.mode, p.endpoint) == (process.mode, process.endpoint)]
    name = f"{process.mode}_{process.endpoint}"
    return name + (f"_r{process.rank}" if len(peers) > 1 and engine.launch == "process" else "")
