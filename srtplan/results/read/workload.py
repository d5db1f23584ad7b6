"""What was asked of a job: only jobs with the same workload are compared in one picture and have a Pareto front together.

In: summaries. Out: groups of them, in the order of their first, each job with its number in the group::

    Workload((("benchmark", "sa-bench"), ("model", "org/m"), ("isl", "8192"), ...))  ->  [(0, summary), (1, summary)]

Every parameter of a benchmark belongs to its workload but for those of ``_OF_THE_JOB``: a new one that nobody thought of
here keeps runs apart rather than letting them be compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import frozen

from srtplan.results.read.model import Record, Summary, as_text, members
from srtplan.results.table import one_line

Numbered = tuple[int, Summary]

_IGNORED_PARAMETERS = frozenset(
    {
        *("concurrencies", "prefix_ratios"),  # a record has its own
        *("tokenizer", "served_model_name"),  # where the model lies; the summary has its name
        *("disaggregated", "total_gpus", "prefill_gpus", "decode_gpus"),
        *("aiperf_package", "result"),  # where the client and its report lie
    }
)
_PER_RUN = ("request_rate", "isl", "osl", "dataset", "prefix_ratio", "workload", "evaluation")
"""What the runs of one job may differ in, so that they have no front together. Concurrency is what a front is over."""
_SYSTEM = ("model", "gpu_type", "precision")
_LOAD = ("isl", "osl")
_MAX_VALUE_LENGTH = 60
"""Characters of a value in a title."""
_SOURCE = ("trace_file", "mooncake_workload", "dataset_path")


@frozen
class Workload:
    """Names and values; what is not said is left out, so that it is equal to nothing said."""

    facts: tuple[tuple[str, str], ...]

    @property
    def data(self) -> dict[str, str]:
        """The same for programs."""
        return dict(self.facts)

    @property
    def text(self) -> str:
        """``sa-bench isl 8192 osl 1024, deepseek-ai/DeepSeek-R1, gb200, fp4``: what everybody looks for first."""
        data = self.data
        load = (
            data.get("benchmark"),
            *(f"{k} {data[k]}" for k in _LOAD if k in data),
            *(data.get(k) for k in _SOURCE),
        )
        return ", ".join(filter(None, (" ".join(filter(None, load)), *(data.get(k) for k in _SYSTEM))))

    def for_run(self, record: Record) -> Workload:
        """The workload of a single run."""
        own = {k: v for k in _PER_RUN if (v := record.text(k))}
        return _workload(self.data | own)


def workload_of(summary: Summary) -> Workload:
    """The workload of a job."""
    own = {k: summary.text(k) for k in ("benchmark", *_SYSTEM)}
    asked = {as_text(k): as_text(v) for k, v in members(summary.values.get("parameters")).items()}
    known = {k: v for k, v in asked.items() if k not in _IGNORED_PARAMETERS} | own
    return _workload(known)


def _workload(facts: Mapping[str, str]) -> Workload:
    return Workload(tuple(sorted((k, v) for k, v in facts.items() if v)))


def group_by_workload(summaries: Iterable[Summary]) -> dict[Workload, list[Numbered]]:
    """Jobs by workload, numbered within it: they have a colour each for as long as there are colours."""
    found: dict[Workload, list[Numbered]] = {}
    for summary in summaries:
        jobs = found.setdefault(workload_of(summary), [])
        jobs.append((len(jobs), summary))
    return found


def distinct_titles(loads: Iterable[Workload]) -> dict[Workload, str]:
    """A text for each; those that would read the same also have what they differ in: ``..., request_rate 10``."""
    alike: dict[str, list[Workload]] = {}
    for load in loads:
        alike.setdefault(load.text, []).append(load)
    return {
        load: ", ".join((text, *_differing_facts(load, same)))
        for text, same in alike.items()
        for load in same
    }


def _differing_facts(load: Workload, others: Iterable[Workload]) -> Iterable[str]:
    data = load.data
    names = dict.fromkeys(name for other in others for name, _ in set(load.facts) ^ set(other.facts))
    return (f"{name} {one_line(data.get(name, '-'), _MAX_VALUE_LENGTH)}" for name in sorted(names))
