"""Names of steps and services.

A worker's step is ``prefill_0``, or ``decode_1_r2`` for the third rank of a worker with a step per rank. A job needs the
services of its frontend, then those of its engine.
"""

from __future__ import annotations

from srtplan import plugin
from srtplan.ir.recipe import Recipe
from srtplan.ir.topology import Process
from srtplan.plugin import Engine


def worker_step(engine: Engine[object], process: Process, peers: int) -> str:
    """The step of a process; ``peers`` is the number of processes of its worker."""
    name = f"{process.mode}_{process.endpoint}"
    return name + (f"_r{process.rank}" if peers > 1 and engine.launch == "process" else "")


def services(recipe: Recipe) -> tuple[str, ...]:
    """The names of the service plugins, in start order."""
    frontend, engine = plugin.frontend(recipe.frontend.type), plugin.engine(recipe.engine.type)
    return (*frontend.services(recipe), *engine.services(recipe))


def service_step(name: str) -> str:
    """The step name of a service: ``mooncake_master`` for ``mooncake-master``."""
    return name.replace("-", "_")
