"""The picture of a job's timeline: its stages as a band, how many workers were ready, and the life of every step.

In: a ``Timeline``. Out: a figure. A step is light while it starts, full once it is ready, hatched to its end if it never
was, dotted if only some of its mode were, grey if nothing says whether it is ready; a cross is an exit code other than 0,
a triangle where it was started again. A run of the benchmark that was tried again has a frame with the number of tries.
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
RESTARTED, RETRIED = "started again", "run with several tries"
DARK = "#000000"
RETRY_FRAME = {"facecolor": "none", "edgecolor": DARK, "linewidth": 1.2}
BLUE, RED, GREEN = COLOURS[0], COLOURS[1], COLOURS[2]
PARTLY_READY = "only some of its mode ready"
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
"""How a bar looks, by its name in the legend."""


def timeline_chart(title: str, timeline: Timeline) -> Figure:
    """One row for the stages, one per mode of counted workers, one per step, of many the ones that matter."""
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
    """As many as fit, in their own order: the failed, those started again, those never ready, the slowest to be ready.

    Those of a mode that was not complete come after what is known to have been never ready.
    """

    def interest(step: StepLife) -> tuple[bool, bool, bool, bool, float]:
        never = step.awaited and step.ready is None
        waited = 0.0 if step.ready is None else step.ready - step.started
        return (not step.exit_code, not step.before, not never, step.partly_ready, -waited)

    chosen = {s.name for s in sorted(steps, key=interest)[:MANY_STEPS]}
    return [s for s in steps if s.name in chosen]


def _draw_stage(axes: Axes, span: Span, whole: float) -> bool:
    """Draw a stage; True if it is too short for its name, which belongs into the legend then."""
    long = span.end - span.begin
    if long <= 0:
        return False
    axes.barh(0, long, left=span.begin, height=0.7, color=STAGES.get(span.name, "#DDDDDD"), edgecolor="white")
    fits = _fits(span.name, long, whole)
    if fits:
        axes.text((span.begin + span.end) / 2, 0, span.name, ha="center", va="center", fontsize=8)
    return not fits


def _draw_count(axes: Axes, row: int, count: Count, whole: float) -> None:
    """Steps that rise with the count; the numbers stand where there is room for them."""
    times = [at for at, _ in count.points] + [whole]
    shares = [min(n / count.wanted, 1) for _, n in count.points]
    tops = [row + 0.3 - 0.6 * share for share in (*shares, shares[-1])]
    axes.fill_between(times, tops, row + 0.3, step="post", color=GREEN, alpha=0.35, linewidth=0)
    axes.plot(times, tops, drawstyle="steps-post", color=GREEN, linewidth=1.2)
    shown = float("inf")
    for at, number in reversed(count.points):
        if shown - at > 0.05 * max(whole, 1):
            text = f"{number}/{count.wanted}"
            low = 2 * number >= count.wanted  # not where the line runs
            edge = row + (0.3 if low else -0.3)
            up = "bottom" if low else "top"
            axes.annotate(text, (at, edge), xytext=(2, -1), textcoords="offset points", fontsize=7, va=up)
            shown = at


def _draw_restarts(axes: Axes, row: int, life: StepLife) -> set[str]:
    """Mark where a step was started again."""
    if not life.before:
        return set()
    starts = [one.started for one in (*life.before[1:], life)]
    mark = {"marker": 9, "markersize": 6, "linestyle": "none", "clip_on": False}
    axes.plot(starts, [row] * len(starts), color=DARK, zorder=5, **mark)  # type: ignore[arg-type]
    return {RESTARTED}


def _draw_retries(axes: Axes, row: int, timeline: Timeline) -> set[str]:
    """Frame the runs of the benchmark that took several tries; their number stands where there is room for it."""
    for run in timeline.retried:
        axes.barh(row, run.end - run.begin, left=run.begin, height=0.55, **RETRY_FRAME)  # type: ignore[arg-type]
        text = f"{run.tries} tries"
        if _fits(text, run.end - run.begin, timeline.end):
            axes.text((run.begin + run.end) / 2, row, text, ha="center", va="center", fontsize=7)
    return {RETRIED} if timeline.retried else set()


def _fits(text: str, long: float, whole: float) -> bool:
    return long / max(whole, 1) > 0.011 * len(text)


def _lives_with_next_start(life: StepLife) -> list[tuple[StepLife, float | None]]:
    """Each life of a step with the beginning of the next."""
    lives = [*life.before, life]
    return list(zip(lives, (*(one.started for one in lives[1:]), None), strict=True))


def _draw_life(axes: Axes, row: int, life: StepLife, whole: float, then: float | None) -> set[str]:
    """Draw a life of a step; what kinds of bars it took. Its exit code stands where there is room before the next."""
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
        times = len(life.before)
        code = f"exit {life.exit_code}" + (f", started again {times}x" if times else "")
        if then is not None and not _fits(f"  {code}", then - end, whole):
            code = ""
        axes.annotate(code, (end, row), xytext=(7, 0), textcoords="offset points", fontsize=7, va="center")
    return {kind for kind, _, _ in bars} | ({"failed"} if life.exit_code else set())


def _bars(life: StepLife, end: float) -> list[tuple[str, float, float]]:
    """Kind, begin and end of what is drawn of a step."""
    if life.ready is not None:
        return [("starting", life.started, life.ready), ("ready", life.ready, end)]
    kind = PARTLY_READY if life.partly_ready else "never ready" if life.awaited else "no readiness check"
    return [(kind, life.started, end)]


def _add_legend(figure: Figure, kinds: set[str], stages: Sequence[str]) -> None:
    """What is in the picture and not explained by it."""
    handles: list[Artist] = [Patch(**look, label=kind) for kind, look in KINDS.items() if kind in kinds]  # type: ignore[arg-type]
    if "failed" in kinds:
        cross = {"linestyle": "none", "marker": "x", "markeredgewidth": 2}
        handles.append(Line2D([], [], color=RED, label="ended with an error", **cross))  # type: ignore[arg-type]
    if RESTARTED in kinds:
        handles.append(Line2D([], [], color=DARK, label=RESTARTED, linestyle="none", marker=9, markersize=7))
    if RETRIED in kinds:
        handles.append(Patch(**RETRY_FRAME, label=RETRIED))  # type: ignore[arg-type]
    handles += [Patch(facecolor=STAGES.get(s, "#DDDDDD"), label=f"stage {s}") for s in stages]
    add_legend(figure, handles, [str(h.get_label()) for h in handles])
