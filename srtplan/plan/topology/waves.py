"""Waves of workers: groups that start together; each wave must be ready before the next one starts.

In: a job whose engine limits how many workers of a node start together (several large models that load on one node at the
same time can exhaust its memory). Out: the wave of every worker, counted from 0.
"""

from __future__ import annotations

from collections import Counter

from srtplan import plugin
from srtplan.plugin import JobContext

Waves = dict[str, int]


def waves(job: JobContext) -> Waves:
    """Return the wave of every worker by name. Workers of a node are counted in their order."""
    at_once = plugin.engine(job.recipe.engine.type).starts_at_once(job.recipe)
    seen: Counter[int] = Counter()
    out: Waves = {}
    for endpoint in job.topology.endpoints:
        out[endpoint.name] = max(seen[n] for n in endpoint.nodes) // at_once if at_once else 0
        seen.update(endpoint.nodes)
    return out
