"""Pictures of results, by matplotlib: the ``results`` extra.

In: summaries. Out: figures; ``save`` writes one as PNG or SVG, the same bytes for the same data. No window, no state.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter

from srtplan.results.front import front, point
from srtplan.results.model import Record, Summary
from srtplan.results.timeline import Life, Timeline

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Seven that stay apart for every kind of colour vision (Okabe and Ito)."""
MARKERS = "osD^vPX"
GREY = "#777777"
STYLE: Any = {
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "svg.hashsalt": "srtplan",
    "svg.fonttype": "path",
}
MANY_STEPS = 40


def style(number: int) -> tuple[str, str]:
    """Colour and marker of the n-th job."""
    return COLOURS[number % len(COLOURS)], MARKERS[(number + number // len(COLOURS)) % len(MARKERS)]


def save(figure: Figure, path: Path) -> None:
    """Write it; the suffix says the format."""
    path.write_bytes(rendered(figure, path.suffix.lstrip(".")))


def rendered(figure: Figure, kind: str) -> bytes:
    """The picture as ``png`` or ``svg``."""
    out = io.BytesIO()
    with rc_context(STYLE):
        FigureCanvasAgg(figure)
        metadata = {"Date": None} if kind == "svg" else {"Software": "srtplan"}
        figure.savefig(out, format=kind, dpi=130, metadata=metadata)
    return out.getvalue()


def throughput(summaries: Sequence[Summary]) -> Figure | None:
    """Output tokens per second and GPU over tokens per second and user, with the Pareto front over all jobs."""
    drawn = [(n, s) for n, s in enumerate(summaries) if any(point(r) for r in s.good)]
    if not drawn:
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=(8.5, 5.2), layout="constrained")
        axes = figure.add_subplot()
        _front(axes, [r for _, s in drawn for r in s.good])
        for n, summary in drawn:
            _points(axes, summary, *style(n))
        axes.set_xlabel("tokens/s per user")
        axes.set_ylabel("output tokens/s per GPU")
        axes.set_title("Throughput against interactivity")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.margins(0.12)
        figure.legend(loc="outside lower left", ncols=1, fontsize=9)
    return figure


def _front(axes: Axes, records: Sequence[Record]) -> None:
    best = [p for r in front(records) if (p := point(r))]
    if len(best) > 1:
        xs, ys = zip(*best, strict=True)
        axes.plot(
            xs,
            ys,
            color=GREY,
            linewidth=7,
            alpha=0.22,
            solid_capstyle="round",
            label="Pareto front",
            zorder=1,
        )


def _points(axes: Axes, summary: Summary, colour: str, marker: str) -> None:
    known = [(p, r) for r in summary.good if (p := point(r))]
    known.sort(key=lambda pr: pr[1].number("concurrency") or 0)
    xs, ys = zip(*(p for p, _ in known), strict=True)
    partial = "" if summary.text("state") == "complete" else f" ({summary.text('state')})"
    axes.plot(xs, ys, color=colour, marker=marker, linewidth=1.4, label=summary.label + partial, zorder=3)
    for (x, y), record in known:
        concurrency = record.number("concurrency")
        if concurrency is not None:
            axes.annotate(
                f"{concurrency:.0f}",
                (x, y),
                xytext=(5, 5),
                textcoords="offset points",
                fontsize=8,
                color=colour,
            )


LATENCIES = (
    ("ttft", "Time to first token"),
    ("tpot", "Time per output token"),
    ("itl", "Gap between tokens"),
    ("e2e", "Whole request"),
)
QUANTILES = (("p50", "-"), ("p99", "--"))


def latency(summaries: Sequence[Summary]) -> Figure | None:
    """Median and 99th percentile of the four latencies over concurrency."""
    drawn = [(n, s) for n, s in enumerate(summaries) if any(_ladder(s, "ttft_ms_p50"))]
    if not drawn:
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=(9.5, 6.4), layout="constrained")
        grid = figure.subplots(2, 2, sharex=True)
        for axes, (name, title) in zip(grid.flat, LATENCIES, strict=True):
            for n, summary in drawn:
                _latency(axes, summary, name, n)
            axes.set_title(title)
            axes.set_ylim(bottom=0)
        for axes in grid[1]:
            axes.set_xlabel("concurrency")
            _powers(axes, [s for _, s in drawn])
        for axes in grid[:, 0]:
            axes.set_ylabel("ms")
        handles, labels = grid[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=2, fontsize=9)
    return figure


def _ladder(summary: Summary, figure: str) -> list[tuple[float, float]]:
    pairs = [(r.number("concurrency"), r.number(figure)) for r in summary.good]
    return sorted((c, v) for c, v in pairs if c is not None and v is not None)


def _latency(axes: Axes, summary: Summary, name: str, number: int) -> None:
    colour, marker = style(number)
    for quantile, line in QUANTILES:
        found = _ladder(summary, f"{name}_ms_{quantile}")
        if found:
            xs, ys = zip(*found, strict=True)
            label = f"{summary.label}, {quantile}"
            axes.plot(xs, ys, color=colour, marker=marker, markersize=4, linestyle=line, label=label)


def _powers(axes: Axes, summaries: Sequence[Summary]) -> None:
    """Concurrencies on a logarithmic axis, with their own numbers, thinned out where they are many."""
    ticks = sorted({c for s in summaries for c, _ in _ladder(s, "ttft_ms_p50")})
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks[:: 1 + len(ticks) // 10])
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())


STAGES = {
    "preflight": "#BBBBBB",
    "infra": "#CC79A7",
    "worker": "#E69F00",
    "frontend": "#F0E442",
    "health": "#F3C97A",
    "benchmark": "#009E73",
    "serving": "#009E73",
    "stop": "#999999",
}


def timeline(title: str, told: Timeline) -> Figure:
    """Stages of the job as a band, below it every step: loading in light, ready in full, a cross where one failed."""
    steps = told.steps if len(told.steps) <= MANY_STEPS else _shortened(told.steps)
    with rc_context(STYLE):
        figure = Figure(figsize=(9.5, 1.8 + 0.27 * len(steps)), layout="constrained")
        axes = figure.add_subplot()
        for span in told.stages:
            _stage(axes, span.name, span.begin, span.end, told.end)
        for n, life in enumerate(steps, start=1):
            _life(axes, n, life, told.end)
        axes.set_yticks(range(len(steps) + 1), ["stage", *(life.name for life in steps)])
        axes.set_ylim(len(steps) + 0.6, -0.6)
        axes.set_xlim(0, max(told.end, 1) * 1.04)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=10))
        axes.set_xlabel("seconds since the start of the job")
        axes.grid(visible=False, axis="y")
        axes.set_title(title)
    return figure


def _shortened(steps: Sequence[Life]) -> Sequence[Life]:
    """The slowest to be ready, the failed, and the first ones, in their order."""
    keen = sorted(steps, key=lambda s: (not s.exit_code, -((s.ready or 0) - s.started)))[:MANY_STEPS]
    chosen = {s.name for s in keen}
    return [s for s in steps if s.name in chosen]


def _stage(axes: Axes, name: str, begin: float, end: float, whole: float) -> None:
    if end <= begin:
        return
    axes.barh(0, end - begin, left=begin, height=0.7, color=STAGES.get(name, "#DDDDDD"), edgecolor="white")
    if (end - begin) / max(whole, 1) > 0.011 * len(name):
        axes.text((begin + end) / 2, 0, name, ha="center", va="center", fontsize=8)


def _life(axes: Axes, row: int, life: Life, whole: float) -> None:
    end = whole if life.ended is None else life.ended
    if life.ready is None:
        axes.barh(row, end - life.started, left=life.started, height=0.55, color=COLOURS[0], alpha=0.75)
    else:
        axes.barh(row, life.ready - life.started, left=life.started, height=0.55, color=COLOURS[0], alpha=0.3)
        axes.barh(row, end - life.ready, left=life.ready, height=0.55, color=COLOURS[0], alpha=0.75)
        ready = f"{life.ready - life.started:.0f} s"
        axes.annotate(
            ready, (life.ready, row), xytext=(3, 0), textcoords="offset points", fontsize=7, va="center"
        )
    if life.exit_code:
        axes.plot([end], [row], marker="x", color=COLOURS[1], markersize=7, markeredgewidth=2, clip_on=False)
        code = f"exit {life.exit_code}"
        axes.annotate(code, (end, row), xytext=(7, 0), textcoords="offset points", fontsize=7, va="center")
