"""Draw all pictures of a set of jobs, each with a file name, a title and an explanation.

In: summaries. Out: pictures as bytes, for files ``throughput.png``, ``latency.png`` and ``timeline_<job>.png``. Jobs with
several workloads have one picture for each: ``throughput_<workload>.png``.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Sequence

from attrs import evolve, frozen

from srtplan.results.read import timeline, workload
from srtplan.results.read.model import Summary

THROUGHPUT = (
    "Each point is a run, labelled with its concurrency or prefix ratio where space allows. "
    "The grey band is the Pareto front: no other run is better in both."
)
MANY_JOBS_NOTE = " With this many jobs, only points on the front are labelled: job number, then concurrency."
LATENCY = "Solid lines are medians, dashed lines 99th percentiles."
TIMELINE = (
    "Below the stages and worker counts, each row is a step. The number in a bar is the time until the step was ready. "
    "If the frontend only counts workers, a worker counts as ready when all workers of its mode are ready."
)
MAX_NAME_LENGTH = 120
MAX_TIMELINES = 50


@frozen
class Picture:
    """``name`` is a file name without suffix."""

    name: str
    title: str
    note: str
    content: bytes


def has_matplotlib() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def draw_pictures(summaries: Sequence[Summary], kind: str) -> Iterator[Picture]:
    """Draw all pictures as ``png`` or ``svg``, each with a unique name."""
    uses: dict[str, int] = {}
    for picture in (*_draw_charts(summaries, kind), *_draw_timelines(summaries, kind)):
        name = _file_name(picture.name)
        number = uses[name] = uses.get(name, 0) + 1
        yield evolve(picture, name=name if number == 1 else f"{name}_{number}")


def _file_name(text: str) -> str:
    """A portable file name, shortened in the middle: its end holds the job id."""
    name = re.sub(r"[^A-Za-z0-9.-]+", "_", text)
    half = MAX_NAME_LENGTH // 2
    return name if len(name) <= MAX_NAME_LENGTH else f"{name[:half]}_{name[-half:]}"


def _draw_charts(summaries: Sequence[Summary], kind: str) -> Iterator[Picture]:
    from srtplan.results.draw import charts, style  # noqa: PLC0415 -- slow to import, and optional

    groups = workload.group_by_workload(summaries)
    titles = workload.distinct_titles(groups)
    drawn = [
        (name, title, note, load, figure)
        for name, title, note, make in (
            ("throughput", "Throughput versus interactivity", THROUGHPUT, charts.throughput_chart),
            ("latency", "Latency", LATENCY, charts.latency_chart),
        )
        for load, jobs in groups.items()
        if (figure := make(jobs, titles[load])) is not None
    ]
    single = len({load for *_, load, _ in drawn}) == 1
    for name, title, note, load, figure in drawn:
        own = name if single else f"{name}_{titles[load]}"
        more = MANY_JOBS_NOTE if name == "throughput" and len(groups[load]) > charts.MANY_JOBS else ""
        yield Picture(own, f"{title}: {titles[load]}", note + more, style.image_bytes(figure, kind))


def select_for_timelines(summaries: Sequence[Summary]) -> Sequence[Summary]:
    """The jobs whose timelines are drawn: at most ``MAX_TIMELINES``, failed jobs first."""
    if len(summaries) <= MAX_TIMELINES:
        return summaries
    chosen = sorted(range(len(summaries)), key=lambda n: summaries[n].text("class") == "success")
    return [summaries[n] for n in sorted(chosen[:MAX_TIMELINES])]


def _draw_timelines(summaries: Sequence[Summary], kind: str) -> Iterator[Picture]:
    from srtplan.results.draw import gantt, style  # noqa: PLC0415 -- slow to import, and optional

    for summary in select_for_timelines(summaries):
        events = timeline.timeline_of(summary)
        if events is not None:
            figure = gantt.timeline_chart(summary.label, events)
            yield Picture(
                f"timeline_{summary.label}",
                f"Timeline of {summary.label}",
                TIMELINE,
                style.image_bytes(figure, kind),
            )
