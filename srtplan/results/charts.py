"""Pictures of measured runs: throughput against interactivity, and latencies, of jobs with one workload.

In: jobs with their numbers among all that are shown, by which they keep colour and marker. Out: figures, or None where
nothing of the kind was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from srtplan.results.drawing import GREY, STYLE, legend, plain, style
from srtplan.results.front import fronts, point
from srtplan.results.model import Record, Summary
from srtplan.results.workload import Numbered

MANY_JOBS = 6
"""With more jobs only the points of the front are named, with the number of the job: else nobody can read any."""
WHOLE = 92
"""Characters that a title has room for."""
WIDE = 30
"""From such a ratio of the largest latency to the smallest the axis is logarithmic."""


def _name(number: int, summary: Summary, *, numbered: bool) -> str:
    """A job in the legend."""
    partial = "" if summary.text("state") == "complete" else f" ({summary.text('state')})"
    return plain(f"{f'#{number + 1} ' if numbered else ''}{summary.label}{partial}")


def throughput(jobs: Sequence[Numbered], title: str) -> Figure | None:
    """Output tokens per second and GPU over tokens per second and user, with the Pareto front over these jobs."""
    drawn = [(n, s) for n, s in jobs if any(point(r) for r in s.good)]
    if not drawn:
        return None
    numbered = len(drawn) > MANY_JOBS
    with rc_context(STYLE):
        figure = Figure(figsize=(8.5, 5.2), layout="constrained")
        axes = figure.add_subplot()
        best = [[r for _, r in found] for _, found in fronts([s for _, s in drawn])]
        handles: list[Artist] = []
        for found in best:
            handles += _front(axes, found)
        del handles[1:]  # bands look alike, one stands for all
        for n, summary in drawn:
            handles.append(_points(axes, n, summary, numbered=numbered))
            _named(axes, n, summary, {id(r.values) for found in best for r in found} if numbered else None)
        axes.set_xlabel("tokens/s per user")
        axes.set_ylabel("output tokens/s per GPU")
        axes.set_title(f"Throughput against interactivity\n{plain(title, WHOLE)}")
        axes.margins(0.12)
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        legend(figure, handles, [str(h.get_label()) for h in handles])
    return figure


def _front(axes: Axes, best: Sequence[Record]) -> list[Line2D]:
    points = [p for r in best if (p := point(r))]
    if len(points) < 2:  # noqa: PLR2004 -- one point is no line
        return []
    xs, ys = zip(*points, strict=True)
    wide = {"color": GREY, "linewidth": 7, "alpha": 0.22, "solid_capstyle": "round"}
    return axes.plot(xs, ys, label="Pareto front", zorder=1, **wide)  # type: ignore[arg-type]


def _known(summary: Summary) -> list[tuple[tuple[float, float], Record]]:
    known = [(p, r) for r in summary.good if (p := point(r))]
    return sorted(known, key=lambda pr: pr[1].number("concurrency") or 0)


def _points(axes: Axes, number: int, summary: Summary, *, numbered: bool) -> Line2D:
    colour, marker = style(number)
    xs, ys = zip(*(p for p, _ in _known(summary)), strict=True)
    line = {"linewidth": 0.8, "alpha": 0.75, "markersize": 5} if numbered else {"linewidth": 1.4}
    name = _name(number, summary, numbered=numbered)
    (drawn,) = axes.plot(xs, ys, color=colour, marker=marker, label=name, zorder=3, **line)  # type: ignore[arg-type]
    return drawn


def _named(axes: Axes, number: int, summary: Summary, best: set[int] | None) -> None:
    """Concurrencies beside the points; of many jobs beside those of the front, after the job's number."""
    for at, record in _known(summary):
        concurrency = record.number("concurrency")
        if concurrency is None or (best is not None and id(record.values) not in best):
            continue
        text = f"{concurrency:.0f}" if best is None else f"#{number + 1}: {concurrency:.0f}"
        axes.annotate(
            text, at, xytext=(5, 5), textcoords="offset points", fontsize=8, color=style(number)[0], zorder=4
        )


LATENCIES = (
    ("ttft", "Time to first token"),
    ("tpot", "Time per output token"),
    ("itl", "Gap between tokens"),
    ("e2e", "Whole request"),
)
Dash = Literal["-", "--"]
QUANTILES: tuple[tuple[str, Dash], ...] = (("p50", "-"), ("p99", "--"))
WORDS = {"p50": "median", "p99": "99th percentile"}


def latency(jobs: Sequence[Numbered], title: str) -> Figure | None:
    """Median and 99th percentile of the four latencies over concurrency."""
    drawn = [(n, s) for n, s in jobs if any(_ladder(s, f"{name}_ms_p50") for name, _ in LATENCIES)]
    if not drawn:
        return None
    numbered = len(drawn) > MANY_JOBS
    with rc_context(STYLE):
        figure = Figure(figsize=(9.5, 6.4), layout="constrained")
        grid = figure.subplots(2, 2, sharex=True)
        for axes, (name, heading) in zip(grid.flat, LATENCIES, strict=True):
            _heights(axes, [v for n, summary in drawn for v in _latency(axes, summary, name, n)])
            axes.set_title(heading)
            axes.set_ylabel("ms")
        for axes in grid[1]:
            axes.set_xlabel("concurrency")
            _powers(axes, [s for _, s in drawn])
        figure.suptitle(f"Latency\n{plain(title, WHOLE)}", x=0.01, ha="left", fontsize=11)
        kinds = [Line2D([], [], color=GREY, linestyle=line, label=WORDS[q]) for q, line in QUANTILES]
        named = [_proxy(n, _name(n, s, numbered=numbered)) for n, s in drawn]
        legend(figure, [*kinds, *named], [str(h.get_label()) for h in (*kinds, *named)])
    return figure


def _proxy(number: int, name: str) -> Line2D:
    colour, marker = style(number)
    return Line2D([], [], color=colour, marker=marker, markersize=4, label=name)


def _ladder(summary: Summary, figure: str) -> list[tuple[float, float]]:
    pairs = [(r.number("concurrency"), r.number(figure)) for r in summary.good]
    return sorted((c, v) for c, v in pairs if c is not None and v is not None)


def _latency(axes: Axes, summary: Summary, name: str, number: int) -> list[float]:
    """Draw a job's two lines; the values in them."""
    colour, marker = style(number)
    values: list[float] = []
    for quantile, line in QUANTILES:
        found = _ladder(summary, f"{name}_ms_{quantile}")
        if found:
            xs, ys = zip(*found, strict=True)
            label = f"{summary.label}, {quantile}"
            axes.plot(
                xs, ys, color=colour, marker=marker, markersize=4, linestyle=line, linewidth=1.2, label=label
            )
            values += ys
    return values


def _heights(axes: Axes, known: Sequence[float]) -> None:
    """From 0 up, or logarithmic where one job's latencies would press all others to the floor."""
    if not known:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=GREY)
        axes.set_yticks([])
    elif min(known) > 0 and max(known) > WIDE * min(known):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(bottom=0)


def _powers(axes: Axes, summaries: Sequence[Summary]) -> None:
    """Concurrencies on a logarithmic axis, with their own numbers, thinned out where they are many."""
    ticks = sorted({c for s in summaries for name, _ in LATENCIES for c, _ in _ladder(s, f"{name}_ms_p50")})
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks[:: 1 + len(ticks) // 10])
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
