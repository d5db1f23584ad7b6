"""Workers that start in waves: so many of each node at a time, each wave ready before the next.

In: a job whose engine asks for that (loading several large models on one node at once can exhaust its memory). Out: the
wave of every worker, counted from 0, and a probe per worker of all waves but the last, which the health gate awaits.
"""

from __future__ import annotations

from collections import Counter

from srtplan import plugin
from srtplan.ir.plan import Probe
from srtplan.ir.topology import Endpoint
from srtplan.plan.names import worker_step
from srtplan.plugin import JobContext

Waves = dict[str, int]


def waves(job: JobContext) -> Waves:
    """The wave of every worker by name: workers of a node are counted in their order."""
    at_once = plugin.engine(job.recipe.engine.type).starts_at_once(job.recipe)
    seen: Counter[int] = Counter()
    out: Waves = {}
    for endpoint in job.topology.endpoints:
        out[endpoint.name] = max(seen[n] for n in endpoint.nodes) // at_once if at_once else 0
        seen.update(endpoint.nodes)
    return out


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
    """Dynamo's workers tell their state at the system port, the others at the port that serves."""
    leader, *rest = job.topology.of(endpoint)
    at_system = job.interface == "dynamo"
    return Probe(
        step=worker_step(plugin.engine(job.recipe.engine.type), leader, 1 + len(rest)),
        type="http",
        node=leader.node,
        port=leader.port("system" if at_system else "http"),
        stage=stage(wave),
        path="/health",
        interval_s=job.recipe.health_check.interval_seconds,
        timeout_s=timeout_s,
    )
