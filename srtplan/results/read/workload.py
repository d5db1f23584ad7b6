"""The workload of a job. Only jobs with the same workload share a picture and a Pareto front.

In: summaries. Out: groups of them in order of appearance, each job with its number in the group::

    Workload((("benchmark", "sa-bench"), ("model", "org/m"), ("isl", "8192"), ...))  ->  [(0, summary), (1, summary)]

Every parameter of a benchmark belongs to its workload, except ``_IGNORED_PARAMETERS``. A parameter that is new to srtplan
therefore separates runs rather than mixing them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import frozen

from srtplan.results.read.model import Record, Summary, as_text, members
from srtplan.results.table import one_line

Numbered = tuple[int, Summary]

_IGNORED_PARAMETERS = frozenset(
    {
        *("concurrencies", "prefix_ratios"),  # each record has its own
        *("tokenizer", "served_model_name"),  # the summary has the model's name
        *("disaggregated", "total_gpus", "prefill_gpus", "decode_gpus"),
        *("aiperf_package", "result"),  # paths of the client and its report
    }
)
_PER_RUN = ("request_rate", "isl", "osl", "dataset", "prefix_ratio", "workload", "evaluation")
"""Parameters that may differ between the runs of one job and separate their fronts. A front spans all concurrencies."""
_SYSTEM = ("model", "gpu_type", "precision")
_LOAD = ("isl", "osl")
_MAX_VALUE_LENGTH = 60
"""Maximum number of characters of a value in a title."""
_SOURCE = ("trace_file", "mooncake_workload", "dataset_path")


@frozen
class Workload:
    """Names and values, sorted; an empty value is left out, so that it equals a missing one."""

    facts: tuple[tuple[str, str], ...]

    @property
    def data(self) -> dict[str, str]:
        """The names and values as a dictionary."""
        return dict(self.facts)

    @property
    def text(self) -> str:
        """The most important values: ``sa-bench isl 8192 osl 1024, deepseek-ai/DeepSeek-R1, gb200, fp4``."""
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
    parameters = {as_text(k): as_text(v) for k, v in members(summary.values.get("parameters")).items()}
    return _workload({k: v for k, v in parameters.items() if k not in _IGNORED_PARAMETERS} | own)


def _workload(facts: Mapping[str, str]) -> Workload:
    return Workload(tuple(sorted((k, v) for k, v in facts.items() if v)))


def group_by_workload(summaries: Iterable[Summary]) -> dict[Workload, list[Numbered]]:
    """Jobs by workload, numbered within it; the number selects a job's colour and marker."""
    found: dict[Workload, list[Numbered]] = {}
    for summary in summaries:
        jobs = found.setdefault(workload_of(summary), [])
        jobs.append((len(jobs), summary))
    return found


def distinct_titles(loads: Iterable[Workload]) -> dict[Workload, str]:
    """A title for each workload. Equal titles are extended by the values that differ: ``..., request_rate 10``."""
    by_text: dict[str, list[Workload]] = {}
    for load in loads:
        by_text.setdefault(load.text, []).append(load)
    return {
        load: ", ".join((text, *_differing_facts(load, group)))
        for text, group in by_text.items()
        for load in group
    }


def _differing_facts(load: Workload, others: Iterable[Workload]) -> Iterable[str]:
    data = load.data
    names = dict.fromkeys(name for other in others for name, _ in set(load.facts) ^ set(other.facts))
    return (f"{name} {one_line(data.get(name, '-'), _MAX_VALUE_LENGTH)}" for name in sorted(names))
