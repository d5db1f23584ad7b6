"""What was asked of a job: only jobs with the same workload are compared in one picture and have a Pareto front together.

In: summaries. Out: groups of them, in the order of their first, each job with its number among all::

    Workload("sa-bench", "deepseek-ai/DeepSeek-R1", "8192", "1024", "", "gb200", "fp4")  ->  [(0, summary), (3, summary)]
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import asdict, frozen

from srtplan.results.model import Summary

Numbered = tuple[int, Summary]


@frozen
class Workload:
    """``isl`` and ``osl`` in tokens; ``trace`` where a recorded load is replayed."""

    benchmark: str
    model: str
    isl: str
    osl: str
    trace: str
    gpu_type: str
    precision: str

    @property
    def text(self) -> str:
        """``sa-bench isl 8192 osl 1024, deepseek-ai/DeepSeek-R1, gb200, fp4``."""
        load = " ".join(f"{k} {v}" for k, v in (("isl", self.isl), ("osl", self.osl)) if v)
        first = " ".join(filter(None, (self.benchmark, load, self.trace)))
        return ", ".join(filter(None, (first, self.model, self.gpu_type, self.precision)))

    @property
    def data(self) -> dict[str, str]:
        """The same for programs."""
        return asdict(self)


def of(summary: Summary) -> Workload:
    """The workload of a job."""
    return Workload(
        benchmark=summary.text("benchmark"),
        model=summary.text("model"),
        isl=summary.parameter("isl"),
        osl=summary.parameter("osl"),
        trace=summary.parameter("trace_file") or summary.parameter("mooncake_workload"),
        gpu_type=summary.text("gpu_type"),
        precision=summary.text("precision"),
    )


def groups(summaries: Iterable[Summary]) -> dict[Workload, list[Numbered]]:
    """Jobs by workload."""
    found: dict[Workload, list[Numbered]] = {}
    for number, summary in enumerate(summaries):
        found.setdefault(of(summary), []).append((number, summary))
    return found
