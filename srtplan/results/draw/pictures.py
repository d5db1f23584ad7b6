"""Which pictures there are of some jobs, with their names and a line of explanation.

In: summaries. Out: pictures as bytes; for files ``throughput.png``, ``latency.png``, ``timeline_<job>.png``. Jobs
with several workloads have a picture of each: ``throughput_<workload>.png``.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Sequence

from attrs import evolve, frozen

from srtplan.results.read import timeline, workload
from srtplan.results.read.model import Summary

THROUGHPUT = (
    "A point is a run, its number the concurrency, or the share of the prompt in common; where there is no room it has "
    "none. The grey band is what no other run beats in both."
)
MANY_JOBS_NOTE = " Of many jobs only the band's points are named: number of the job, concurrency."
LATENCY = "Full lines are medians, dashed lines 99th percentiles."
TIMELINE = (
    "Light: starting; full: ready, after so many seconds; hatched: never ready; dotted: some of its mode were; grey: "
    "nothing says whether it is ready; a cross: ended with an error; a triangle: started again. Frontends count workers, "
    "unnamed: one is taken as ready when all of its mode are. A frame around a run of the benchmark: it took several tries."
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
    """Matplotlib is here."""
    return importlib.util.find_spec("matplotlib") is not None


def draw_pictures(summaries: Sequence[Summary], kind: str) -> Iterator[Picture]:
    """All pictures as ``png`` or ``svg``, no two with the same name."""
    taken: dict[str, int] = {}
    for made in (*_draw_charts(summaries, kind), *_draw_timelines(summaries, kind)):
        picture = evolve(made, name=_file_name(made.name))
        times = taken[picture.name] = taken.get(picture.name, 0) + 1
        yield picture if times == 1 else evolve(picture, name=f"{picture.name}_{times}")


def _file_name(text: str) -> str:
    """No spaces or signs, and short enough for every file system: the end of it has the job's number."""
    name = re.sub(r"[^A-Za-z0-9.-]+", "_", text)
    half = MAX_NAME_LENGTH // 2
    return name if len(name) <= MAX_NAME_LENGTH else f"{name[:half]}_{name[-half:]}"


def _draw_charts(summaries: Sequence[Summary], kind: str) -> Iterator[Picture]:
    from srtplan.results.draw import charts, style  # noqa: PLC0415 -- matplotlib takes its time, and may not be there

    groups = workload.group_by_workload(summaries)
    titles = workload.distinct_titles(groups)
    drawn = [
        (name, title, note, load, figure)
        for name, title, note, make in (
            ("throughput", "Throughput and interactivity", THROUGHPUT, charts.throughput_chart),
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
    """Those whose timeline is drawn: of very many jobs the first of those that ended badly, then of the others."""
    if len(summaries) <= MAX_TIMELINES:
        return summaries
    chosen = sorted(range(len(summaries)), key=lambda n: summaries[n].text("class") == "success")
    return [summaries[n] for n in sorted(chosen[:MAX_TIMELINES])]


def _draw_timelines(summaries: Sequence[Summary], kind: str) -> Iterator[Picture]:
    from srtplan.results.draw import gantt, style  # noqa: PLC0415 -- matplotlib takes its time, and may not be there

    for summary in select_for_timelines(summaries):
        told = timeline.timeline_of(summary)
        if told is not None:
            figure = gantt.timeline_chart(summary.label, told)
            yield Picture(
                f"timeline_{summary.label}",
                f"Timeline of {summary.label}",
                TIMELINE,
                style.image_bytes(figure, kind),
            )
