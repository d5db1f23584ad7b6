"""The Pareto front: the runs that no other run beats in both interactivity and throughput.

Interactivity is output tokens per second per user; throughput is output tokens per second per GPU. A front contains only
runs with the same workload: a short prompt or a cached prefix always beats a long, uncached prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from srtplan.results.read import workload
from srtplan.results.read.model import Record, Summary
from srtplan.results.read.workload import Workload

INTERACTIVITY, THROUGHPUT = "tokens_per_s_per_user", "output_tokens_per_s_per_gpu"


def operating_point(record: Record) -> tuple[float, float] | None:
    """(interactivity, throughput) of a run; None if one of them is missing."""
    x, y = record.number(INTERACTIVITY), record.number(THROUGHPUT)
    return None if x is None or y is None else (x, y)


def pareto_front(records: Iterable[Record]) -> list[Record]:
    """The runs on the front, from the highest interactivity to the highest throughput."""
    known = [(p, r) for r in records if (p := operating_point(r)) is not None]
    best: list[Record] = []
    highest = float("-inf")
    for (_, y), record in sorted(known, key=lambda pr: (-pr[0][0], -pr[0][1])):
        if y > highest:
            best.append(record)
            highest = y
    return best


def pareto_fronts(summaries: Sequence[Summary]) -> list[tuple[Workload, list[tuple[Summary, Record]]]]:
    """The front of every workload; each run comes with the summary of its job."""
    runs: dict[Workload, dict[int, tuple[Summary, Record]]] = {}
    for summary in summaries:
        load = workload.workload_of(summary)
        for record in summary.good:
            runs.setdefault(load.for_run(record), {})[id(record.values)] = (summary, record)
    return [
        (load, [of[id(r.values)] for r in pareto_front(r for _, r in of.values())])
        for load, of in runs.items()
    ]
