"""Names of steps: ``prefill_0``, ``decode_1_r2`` for the third rank of a worker that has a step per rank.

And of the services that a job needs: those of its frontend, then those of its engine.
"""

from __future__ import annotations

from srtplan import plugin
from srtplan.ir.recipe import Recipe
from srtplan.ir.topology import Process
from srtplan.plugin import Engine


def worker_step(engine: Engine[object], process: Process, peers: int) -> str:
    """The step that a process is, or belongs to; ``peers`` is the number of processes of its worker."""
    name = f"{process.mode}_{process.endpoint}"
    return name + (f"_r{process.rank}" if peers > 1 and engine.launch == "process" else "")


def services(recipe: Recipe) -> tuple[str, ...]:
    """Plugins of the services, in start order."""
    frontend, engine = plugin.frontend(recipe.frontend.type), plugin.engine(recipe.engine.type)
    return (*frontend.services(recipe), *engine.services(recipe))


def service_step(name: str) -> str:
    """The step of a service: ``mooncake_master`` for ``mooncake-master``."""
    return name.replace("-", "_")
