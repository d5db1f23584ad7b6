"""Charts of measured runs of jobs with one workload: throughput versus interactivity, and latencies.

In: jobs with their numbers in the group; the number selects the colour and marker in both charts. Out: figures; None if no
job has the required values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from srtplan.results.compare.pareto import operating_point, pareto_fronts
from srtplan.results.draw.label_placement import Label, place_labels
from srtplan.results.draw.style import GREY, STYLE, add_legend, drawable_text, job_style
from srtplan.results.read.model import Record, Summary
from srtplan.results.read.workload import Numbered
from srtplan.results.table import count

MANY_JOBS = 6
"""With more jobs, only points of the front are labelled, with the number of the job; other labels would overlap."""
PREFIX_RATIO = "prefix_ratio"
MAX_NAMED_JOBS = 40
"""With more jobs, only jobs with a run on the front have a colour and an entry in the legend."""
MAX_TITLE_LENGTH = 92
"""Characters that fit into a title."""
MAX_TICKS = 12
LOG_SCALE_RATIO = 30
"""If the largest latency exceeds the smallest by this factor, the axis is logarithmic."""


def _legend_name(number: int, summary: Summary, *, numbered: bool) -> str:
    """The name of a job in the legend."""
    partial = "" if summary.text("state") == "complete" else f" ({summary.text('state')})"
    return drawable_text(f"{f'#{number + 1} ' if numbered else ''}{summary.label}{partial}")


def throughput_chart(jobs: Sequence[Numbered], title: str) -> Figure | None:
    """Output tokens/s per GPU over tokens/s per user, with the Pareto front of these jobs."""
    drawn = [(n, s) for n, s in jobs if any(operating_point(r) for r in s.good)]
    if not drawn:
        return None
    numbered = len(drawn) > MANY_JOBS
    with rc_context(STYLE):
        figure = Figure(figsize=(8.5, 5.2), layout="constrained")
        axes = figure.add_subplot()
        best = [[r for _, r in found] for _, found in pareto_fronts([s for _, s in drawn])]
        handles: list[Artist] = []
        for found in best:
            handles += _draw_front(axes, found)
        del handles[1:]  # bands look alike: one entry in the legend is enough
        named, others = _split_named(drawn)
        handles += [_draw_job(axes, n, summary, numbered=numbered) for n, summary in named]
        handles += _draw_other_jobs(axes, [[p for p, _ in _sweep_points(s)] for _, s in others])
        axes.set_xlabel("tokens/s per user")
        axes.set_ylabel("output tokens/s per GPU")
        axes.set_title(f"Throughput versus interactivity\n{drawable_text(title, MAX_TITLE_LENGTH)}")
        axes.margins(0.12)
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        add_legend(figure, handles, [str(h.get_label()) for h in handles])
        place_labels(
            axes, _point_labels(named, {id(r.values) for found in best for r in found}, numbered=numbered)
        )
    return figure


def sweep_value(record: Record) -> float | None:
    """The value that varies between the runs of a job: the prefix ratio if there is one, else the concurrency."""
    ratio = record.number(PREFIX_RATIO)
    return record.number("concurrency") if ratio is None else ratio


def _split_named(jobs: Sequence[Numbered]) -> tuple[list[Numbered], list[Numbered]]:
    """Jobs with an entry in the legend, and the others; of very many jobs, only those on the front are named."""
    if len(jobs) <= MAX_NAMED_JOBS:
        return list(jobs), []
    best = {id(s) for _, found in pareto_fronts([s for _, s in jobs]) for s, _ in found}
    named = [job for job in jobs if id(job[1]) in best][:MAX_NAMED_JOBS]
    numbers = {n for n, _ in named}
    return named, [job for job in jobs if job[0] not in numbers]


def _draw_other_jobs(axes: Axes, jobs: Sequence[Sequence[tuple[float, float]]]) -> list[Line2D]:
    """Draw the jobs without a name as one thin grey line with gaps."""
    if not jobs:
        return []
    xs, ys = zip(*(p for ladder in jobs for p in (*ladder, (math.nan, math.nan))), strict=True)
    look = {"linewidth": 0.5, "alpha": 0.35, "zorder": 0.9}
    return axes.plot(xs, ys, color=GREY, label=count(len(jobs), "other job"), **look)  # type: ignore[arg-type]


def _draw_front(axes: Axes, best: Sequence[Record]) -> list[Line2D]:
    points = [p for r in best if (p := operating_point(r))]
    if len(points) < 2:  # noqa: PLR2004 -- one point is not a line
        return []
    xs, ys = zip(*points, strict=True)
    wide = {"color": GREY, "linewidth": 7, "alpha": 0.22, "solid_capstyle": "round"}
    return axes.plot(xs, ys, label="Pareto front", zorder=1, **wide)  # type: ignore[arg-type]


def _sweep_points(summary: Summary) -> list[tuple[tuple[float, float], Record]]:
    known = [(p, r) for r in summary.good if (p := operating_point(r))]
    return sorted(known, key=lambda pr: sweep_value(pr[1]) or 0)


def _draw_job(axes: Axes, number: int, summary: Summary, *, numbered: bool) -> Line2D:
    colour, marker = job_style(number)
    xs, ys = zip(*(p for p, _ in _sweep_points(summary)), strict=True)
    line = {"linewidth": 0.8, "alpha": 0.75, "markersize": 5} if numbered else {"linewidth": 1.4}
    name = _legend_name(number, summary, numbered=numbered)
    (drawn,) = axes.plot(xs, ys, color=colour, marker=marker, label=name, zorder=3, **line)  # type: ignore[arg-type]
    return drawn


def _point_labels(jobs: Sequence[Numbered], best: set[int], *, numbered: bool) -> list[Label]:
    """Labels of points by priority: points of the front, the ends of each job, other points; of many jobs only the front."""
    found: list[tuple[int, Label]] = []
    for n, summary in jobs:
        known = _sweep_points(summary)
        for nth, (at, record) in enumerate(known):
            value = sweep_value(record)
            on_front = id(record.values) in best
            if value is None or (numbered and not on_front):
                continue
            text = f"#{n + 1}: {value:g}" if numbered else f"{value:g}"
            rank = 0 if on_front else 1 if nth in (0, len(known) - 1) else 2
            found.append((rank, Label(text, at, job_style(n)[0])))
    return [label for _, label in sorted(found, key=lambda f: f[0])]


LATENCIES = (
    ("ttft", "Time to first token"),
    ("tpot", "Time per output token"),
    ("itl", "Inter-token latency"),
    ("e2e", "End-to-end latency"),
)
Dash = Literal["-", "--"]
QUANTILES: tuple[tuple[str, Dash], ...] = (("p50", "-"), ("p99", "--"))
WORDS = {"p50": "median", "p99": "99th percentile"}


def latency_chart(jobs: Sequence[Numbered], title: str) -> Figure | None:
    """Median and 99th percentile of the four latencies over concurrency or prefix ratio."""
    drawn = [(n, s) for n, s in jobs if any(_latency_series(s, f"{name}_ms_p50") for name, _ in LATENCIES)]
    if not drawn:
        return None
    numbered = len(drawn) > MANY_JOBS
    with rc_context(STYLE):
        figure = Figure(figsize=(9.5, 6.4), layout="constrained")
        grid = figure.subplots(2, 2, sharex=True)
        named, others = _split_named(drawn)
        for axes, (name, heading) in zip(grid.flat, LATENCIES, strict=True):
            rest = [_latency_series(s, f"{name}_ms_p50") for _, s in others]
            grey = _draw_other_jobs(axes, rest)
            found = [v for n, s in named for v in _draw_latency(axes, s, name, n, many=numbered)]
            _scale_y_axis(axes, [*found, *(v for ladder in rest for _, v in ladder)])
            axes.set_title(heading)
            axes.set_ylabel("ms")
        by_ratio = any(r.number(PREFIX_RATIO) is not None for _, s in drawn for r in s.good)
        for axes in grid[1]:
            axes.set_xlabel("prefix ratio" if by_ratio else "concurrency")
            _scale_x_axis(axes, [s for _, s in drawn], scale="linear" if by_ratio else "log")
        figure.suptitle(f"Latency\n{drawable_text(title, MAX_TITLE_LENGTH)}", x=0.01, ha="left", fontsize=11)
        kinds = [Line2D([], [], color=GREY, linestyle=line, label=WORDS[q]) for q, line in QUANTILES]
        handles = [*kinds, *(_legend_line(n, _legend_name(n, s, numbered=numbered)) for n, s in named), *grey]
        add_legend(figure, handles, [str(h.get_label()) for h in handles])
    return figure


def _legend_line(number: int, name: str) -> Line2D:
    colour, marker = job_style(number)
    return Line2D([], [], color=colour, marker=marker, markersize=4, label=name)


def _latency_series(summary: Summary, figure: str) -> list[tuple[float, float]]:
    pairs = [(sweep_value(r), r.number(figure)) for r in summary.good]
    return sorted((c, v) for c, v in pairs if c is not None and v is not None)


def _draw_latency(axes: Axes, summary: Summary, name: str, number: int, *, many: bool) -> list[float]:
    """Draw the two lines of a job, thinner if there are many jobs. Returns the values drawn."""
    colour, marker = job_style(number)
    values: list[float] = []
    for quantile, line in QUANTILES:
        found = _latency_series(summary, f"{name}_ms_{quantile}")
        if found:
            xs, ys = zip(*found, strict=True)
            look = {"markersize": 4, "linewidth": 1.2} if not many else {"markersize": 3, "linewidth": 0.7}
            if many and quantile != "p50":
                look |= {"markersize": 0, "alpha": 0.6}
            label = f"{summary.label}, {quantile}"
            axes.plot(xs, ys, color=colour, marker=marker, linestyle=line, label=label, **look)  # type: ignore[arg-type]
            values += ys
    return values


def _scale_y_axis(axes: Axes, known: Sequence[float]) -> None:
    """Start the axis at 0, or make it logarithmic if large latencies would flatten the small ones."""
    if not known:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=GREY)
        axes.set_yticks([])
    elif min(known) > 0 and max(known) > LOG_SCALE_RATIO * min(known):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.12g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(bottom=0)


def _scale_x_axis(axes: Axes, summaries: Sequence[Summary], scale: Literal["log", "linear"]) -> None:
    """Put ticks at the measured values, fewer where they are close together."""
    ticks = sorted(
        {c for s in summaries for name, _ in LATENCIES for c, _ in _latency_series(s, f"{name}_ms_p50")}
    )
    if scale == "log":
        axes.set_xscale("log", base=2)
    axes.set_xticks(_thin_out(ticks, math.log if scale == "log" else float))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.tick_params(axis="x", labelsize=8)
    axes.xaxis.set_minor_formatter(NullFormatter())


def _thin_out(ticks: Sequence[float], where: Callable[[float], float]) -> list[float]:
    """The last tick, and of the others, from the last down, those with enough distance to the next."""
    room = (where(ticks[-1]) - where(ticks[0])) / MAX_TICKS
    kept = [ticks[-1]]
    for tick in reversed(ticks[:-1]):
        if where(kept[-1]) - where(tick) > room:
            kept.append(tick)
    return kept[::-1]
