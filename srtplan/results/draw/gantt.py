"""Draw a job's timeline: a band of stages, the number of ready workers, and a bar for each step.

In: a ``Timeline``. Out: a figure. A bar is light while the step starts, solid once it is ready, hatched if it never became
ready, dotted if only some workers of its mode did, and grey if it has no readiness check. A cross marks an exit code other
than 0, a triangle a restart. A run of the benchmark with several tries has a frame with their number.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from srtplan.results.draw.style import COLOURS, STYLE, add_legend, drawable_text
from srtplan.results.read.timeline import BENCHMARK, Count, Span, StepLife, Timeline

MANY_STEPS = 40
STAGES = {
    "preflight": "#BBBBBB",
    "infra": "#CC79A7",
    "prepare": "#DDBBD0",
    "worker": "#E69F00",
    "frontend": "#F0E442",
    "health": "#F3C97A",
    "benchmark": "#009E73",
    "serving": "#009E73",
    "stop": "#999999",
}
RESTARTED, RETRIED = "restart", "run with several tries"
DARK = "#000000"
RETRY_FRAME = {"facecolor": "none", "edgecolor": DARK, "linewidth": 1.2}
BLUE, RED, GREEN = COLOURS[0], COLOURS[1], COLOURS[2]
PARTLY_READY = "some workers of the mode ready"
KINDS = {
    "starting": {"facecolor": BLUE, "alpha": 0.3},
    "ready": {"facecolor": BLUE, "alpha": 0.75},
    "never ready": {"facecolor": "#FFFFFF", "edgecolor": BLUE, "hatch": "////", "linewidth": 0.8},
    PARTLY_READY: {
        "facecolor": "#FFFFFF",
        "edgecolor": BLUE,
        "hatch": "...",
        "linewidth": 0.8,
    },
    "no readiness check": {"facecolor": "#999999", "alpha": 0.75},
}
"""Appearance of a bar by its name in the legend."""


def timeline_chart(title: str, timeline: Timeline) -> Figure:
    """Draw one row for the stages, one for each mode of counted workers, one for each step; at most ``MANY_STEPS``."""
    steps = timeline.steps if len(timeline.steps) <= MANY_STEPS else select_steps(timeline.steps)
    names = [
        "stage",
        *(f"{c.mode} ready" for c in timeline.counts),
        *(drawable_text(s.name, 40) for s in steps),
    ]
    with rc_context(STYLE):
        figure = Figure(figsize=(9.5, 1.6 + 0.27 * len(names)), layout="constrained")
        axes = figure.add_subplot()
        unnamed = [s.name for s in timeline.stages if _draw_stage(axes, s, timeline.end)]
        for n, count in enumerate(timeline.counts, start=1):
            _draw_count(axes, n, count, timeline.end)
        rows = list(enumerate(steps, start=1 + len(timeline.counts)))
        kinds = [
            _draw_life(axes, n, one, timeline.end, then)
            for n, life in rows
            for one, then in _lives_with_next_start(life)
        ]
        kinds += [_draw_restarts(axes, n, life) for n, life in rows]
        kinds += [_draw_retries(axes, n, timeline) for n, life in rows if life.name == BENCHMARK]
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlim(0, max(timeline.end, 1) * 1.04)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=10))
        axes.set_xlabel("seconds since the start of the job")
        axes.grid(visible=False, axis="y")
        some = f" ({len(steps)} of {len(timeline.steps)} steps)" if len(steps) < len(timeline.steps) else ""
        axes.set_title(drawable_text(title) + some)
        _add_legend(figure, {k for kind in kinds for k in kind}, list(dict.fromkeys(unnamed)))
    return figure


def select_steps(steps: Sequence[StepLife]) -> Sequence[StepLife]:
    """The ``MANY_STEPS`` most interesting steps, in order: failed, restarted, never ready, then the slowest to become ready.

    Steps of a partly ready mode rank below steps that certainly never became ready.
    """

    def interest(step: StepLife) -> tuple[bool, bool, bool, bool, float]:
        never = step.awaited and step.ready is None
        waited = 0.0 if step.ready is None else step.ready - step.started
        return (not step.exit_code, not step.before, not never, step.partly_ready, -waited)

    chosen = {s.name for s in sorted(steps, key=interest)[:MANY_STEPS]}
    return [s for s in steps if s.name in chosen]


def _draw_stage(axes: Axes, span: Span, whole: float) -> bool:
    """Draw a stage. Returns True if it is too short for its name, which then goes into the legend."""
    long = span.end - span.begin
    if long <= 0:
        return False
    axes.barh(0, long, left=span.begin, height=0.7, color=STAGES.get(span.name, "#DDDDDD"), edgecolor="white")
    fits = _fits(span.name, long, whole)
    if fits:
        axes.text((span.begin + span.end) / 2, 0, span.name, ha="center", va="center", fontsize=8)
    return not fits


def _draw_count(axes: Axes, row: int, count: Count, whole: float) -> None:
    """Draw the count as a staircase, with numbers where they fit."""
    times = [at for at, _ in count.points] + [whole]
    shares = [min(n / count.wanted, 1) for _, n in count.points]
    tops = [row + 0.3 - 0.6 * share for share in (*shares, shares[-1])]
    axes.fill_between(times, tops, row + 0.3, step="post", color=GREEN, alpha=0.35, linewidth=0)
    axes.plot(times, tops, drawstyle="steps-post", color=GREEN, linewidth=1.2)
    shown = float("inf")
    for at, number in reversed(count.points):
        if shown - at > 0.05 * max(whole, 1):
            text = f"{number}/{count.wanted}"
            low = 2 * number >= count.wanted  # keep clear of the line
            edge = row + (0.3 if low else -0.3)
            up = "bottom" if low else "top"
            axes.annotate(text, (at, edge), xytext=(2, -1), textcoords="offset points", fontsize=7, va=up)
            shown = at


def _draw_restarts(axes: Axes, row: int, life: StepLife) -> set[str]:
    """Mark the restarts of a step."""
    if not life.before:
        return set()
    starts = [one.started for one in (*life.before[1:], life)]
    mark = {"marker": 9, "markersize": 6, "linestyle": "none", "clip_on": False}
    axes.plot(starts, [row] * len(starts), color=DARK, zorder=5, **mark)  # type: ignore[arg-type]
    return {RESTARTED}


def _draw_retries(axes: Axes, row: int, timeline: Timeline) -> set[str]:
    """Frame the runs of the benchmark with several tries, with the number of tries where it fits."""
    for run in timeline.retried:
        axes.barh(row, run.end - run.begin, left=run.begin, height=0.55, **RETRY_FRAME)  # type: ignore[arg-type]
        text = f"{run.tries} tries"
        if _fits(text, run.end - run.begin, timeline.end):
            axes.text((run.begin + run.end) / 2, row, text, ha="center", va="center", fontsize=7)
    return {RETRIED} if timeline.retried else set()


def _fits(text: str, long: float, whole: float) -> bool:
    return long / max(whole, 1) > 0.011 * len(text)


def _lives_with_next_start(life: StepLife) -> list[tuple[StepLife, float | None]]:
    """Each life of a step with the start of the next; None for the last."""
    lives = [*life.before, life]
    return list(zip(lives, (*(one.started for one in lives[1:]), None), strict=True))


def _draw_life(axes: Axes, row: int, life: StepLife, whole: float, then: float | None) -> set[str]:
    """Draw one life of a step, with its exit code if it fits before the next life. Returns the kinds of bars used."""
    end = whole if life.ended is None else life.ended
    bars = _bars(life, end)
    for kind, begin, until in bars:
        axes.barh(row, until - begin, left=begin, height=0.55, **KINDS[kind])  # type: ignore[arg-type]
    if life.ready is not None:
        ready = f"{life.ready - life.started:.0f} s"
        axes.annotate(
            ready, (life.ready, row), xytext=(3, 0), textcoords="offset points", fontsize=7, va="center"
        )
    if life.exit_code:
        axes.plot([end], [row], marker="x", color=RED, markersize=7, markeredgewidth=2, clip_on=False)
        restarts = len(life.before)
        code = f"exit {life.exit_code}" + (f", restarts: {restarts}" if restarts else "")
        if then is not None and not _fits(f"  {code}", then - end, whole):
            code = ""
        axes.annotate(code, (end, row), xytext=(7, 0), textcoords="offset points", fontsize=7, va="center")
    return {kind for kind, _, _ in bars} | ({"failed"} if life.exit_code else set())


def _bars(life: StepLife, end: float) -> list[tuple[str, float, float]]:
    """The kind, begin and end of each bar of a life."""
    if life.ready is not None:
        return [("starting", life.started, life.ready), ("ready", life.ready, end)]
    kind = PARTLY_READY if life.partly_ready else "never ready" if life.awaited else "no readiness check"
    return [(kind, life.started, end)]


def _add_legend(figure: Figure, kinds: set[str], stages: Sequence[str]) -> None:
    """Explain the bars and marks used, and the stages too short for their name."""
    handles: list[Artist] = [Patch(**look, label=kind) for kind, look in KINDS.items() if kind in kinds]  # type: ignore[arg-type]
    if "failed" in kinds:
        cross = {"linestyle": "none", "marker": "x", "markeredgewidth": 2}
        handles.append(Line2D([], [], color=RED, label="nonzero exit code", **cross))  # type: ignore[arg-type]
    if RESTARTED in kinds:
        handles.append(Line2D([], [], color=DARK, label=RESTARTED, linestyle="none", marker=9, markersize=7))
    if RETRIED in kinds:
        handles.append(Patch(**RETRY_FRAME, label=RETRIED))  # type: ignore[arg-type]
    handles += [Patch(facecolor=STAGES.get(s, "#DDDDDD"), label=f"stage {s}") for s in stages]
    add_legend(figure, handles, [str(h.get_label()) for h in handles])
