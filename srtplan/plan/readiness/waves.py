"""Workers that start in waves: so many of each node at a time, each wave ready before the next.

In: a job whose engine asks for that (loading several large models on one node at once can exhaust its memory). Out:
a probe per worker of all waves but the last, which the health gate awaits.
"""

from __future__ import annotations

from srtplan import plugin
from srtplan.ir.plan import Probe
from srtplan.ir.topology import Endpoint
from srtplan.plan.launch.names import worker_step
from srtplan.plan.topology.waves import waves
from srtplan.plugin import JobContext


def stage(wave: int) -> str:
    """The name under which the probes of a wave are awaited."""
    return f"wave_{wave}"


def probes(job: JobContext, timeout_s: int) -> list[Probe]:
    """One per worker that another wave waits for."""
    numbers = waves(job)
    last = max(numbers.values(), default=0)
    return [
        _probe(job, e, numbers[e.name], timeout_s) for e in job.topology.endpoints if numbers[e.name] < last
    ]


def _probe(job: JobContext, endpoint: Endpoint, wave: int, timeout_s: int) -> Probe:
    leader, *rest = job.topology.of(endpoint)
    engine = plugin.engine(job.recipe.engine.type)
    return Probe(
        step=worker_step(engine, leader, 1 + len(rest)),
        type="http",
        node=leader.node,
        port=job.answers_at(leader),
        stage=stage(wave),
        path=engine.health_path,
        interval_s=job.recipe.health_check.interval_seconds,
        timeout_s=timeout_s,
    )
