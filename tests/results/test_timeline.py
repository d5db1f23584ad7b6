"""The timeline of a job: reading it from events and Plan, and drawing it."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from jobs import EVENTS, PLAN, counted, job, lines, record, stage, step
from matplotlib.colors import to_hex

from srtplan.results.draw import gantt
from srtplan.results.read import load, timeline
from srtplan.results.read.timeline import Count, Span, StepLife, Timeline

Bar = tuple[float, float, float, str, str]


def build(text: str, plan: dict[str, Any] = PLAN) -> Timeline:
    """The timeline of an events file."""
    job_timeline = timeline.build_timeline([json.loads(line) for line in text.splitlines()], plan)
    assert job_timeline
    return job_timeline


def bars(job_timeline: Timeline) -> dict[int, list[Bar]]:
    """The bars of each row: begin, end, opacity, colour and hatch."""
    found: dict[int, list[Bar]] = {}
    for patch in gantt.timeline_chart("x", job_timeline).axes[0].patches:
        x, width, row = patch.get_x(), patch.get_width(), round(patch.get_y() + patch.get_height() / 2)  # type: ignore[attr-defined]
        look = (patch.get_alpha() or 1.0, to_hex(patch.get_facecolor()), patch.get_hatch() or "")
        found.setdefault(row, []).append((x, x + width, *look))
    return found


def legend(job_timeline: Timeline) -> list[str]:
    """The entries of the legend."""
    return [t.get_text() for t in gantt.timeline_chart("x", job_timeline).legends[0].get_texts()]


def lives(*steps: StepLife, counts: tuple[Count, ...] = ()) -> Timeline:
    """A timeline of 100 seconds with these steps."""
    return Timeline((Span("benchmark", 0, 100),), steps, 100, counts)


def test_a_timeline_has_stages_and_the_lives_of_steps(tmp_path: Path) -> None:
    """A stage ends when the next begins; a step has a start, ready time, end and exit code; invalid lines are skipped."""
    run_dir = job(tmp_path, 9, record(2), events=EVENTS + '{"t": 206, "event": "st')
    job_timeline = timeline.read_timeline(run_dir)
    assert job_timeline
    assert [(s.name, s.begin, s.end) for s in job_timeline.stages][:2] == [
        ("preflight", 0.1, 2),
        ("worker", 2, 3),
    ]
    assert [s.name for s in job_timeline.steps] == ["prefill_0", "decode_0", "router_0", "benchmark"]
    decode, router, bench = job_timeline.steps[1:]
    assert (decode.started, decode.ended, decode.exit_code) == (2, 200, 9)
    assert (router.started, router.ready, router.ended, router.exit_code) == (3, 90, None, None)
    assert (bench.ready, bench.ended, job_timeline.end) == (None, 203, 205)
    assert timeline.read_timeline(tmp_path) is None


def test_a_worker_is_ready_when_all_of_its_mode_are(tmp_path: Path) -> None:
    """Dynamo and routers only count workers by mode, so that a single worker's ready time is not known."""
    job_timeline = timeline.read_timeline(job(tmp_path, 1, record(2), events=EVENTS))
    assert job_timeline
    assert {s.name: (s.ready, s.awaited) for s in job_timeline.steps} == {
        "prefill_0": (60, True), "decode_0": (90, True), "router_0": (90, True), "benchmark": (None, False),
    }  # fmt: skip
    assert job_timeline.counts == (
        Count("prefill", 1, ((4, 0), (60, 1))), Count("decode", 1, ((4, 0), (90, 1))),
    )  # fmt: skip


def test_a_worker_of_an_incomplete_mode_is_not_ready() -> None:
    """If some workers were counted, it may be one of them; if none was, it was never ready."""
    start = lines(stage(0, "worker"), *(step(1, n, "started") for n in ("prefill_0", "decode_0")))
    none = build(start + lines(counted(5, 0, 0, (1, 2)), counted(9, 1, 0, (1, 2))))
    some = build(start + lines(counted(5, 0, 1, (1, 2))))
    assert [(s.ready, s.awaited, s.partly_ready) for s in none.steps] == [
        (9, True, False),
        (None, True, False),
    ]
    assert [(s.ready, s.awaited, s.partly_ready) for s in some.steps] == [
        (None, True, False),
        (None, True, True),
    ]


def test_a_worker_that_ended_before_the_count_was_not_ready() -> None:
    """A worker cannot become ready after its end, and its own ready event overrides the count."""
    start = lines(stage(0, "worker"), step(1, "decode_0", "started"), step(1, "prefill_0", "started"))
    job_timeline = build(
        start + lines(step(3, "prefill_0", "ready"), step(4, "decode_0", "ended", exit=1), counted(9, 1, 1))
    )
    assert {s.name: s.ready for s in job_timeline.steps} == {"decode_0": None, "prefill_0": 3}


def test_a_step_with_a_probe_is_awaited_even_if_never_ready() -> None:
    """The Plan lists the probes; without a Plan, only steps that became ready are known to be awaited."""
    text = lines(stage(0, "frontend"), *(step(1, n, "started") for n in ("router_0", "benchmark")))
    assert {s.name: s.awaited for s in build(text).steps} == {"router_0": True, "benchmark": False}
    assert [s.awaited for s in build(text + lines(step(2, "router_0", "ready")), {}).steps] == [True, False]


def test_a_restarted_step_has_several_lives() -> None:
    """Each life has its own end and exit code; the last may still be running."""
    first = lines(stage(0, "worker"), step(1, "a", "started"), step(5, "a", "ended", exit=1))
    restarted = first + lines(step(6, "a", "started"))
    (life,) = build(restarted).steps
    assert (life.started, life.ended, life.exit_code) == (6, None, None)
    assert [(s.started, s.ended, s.exit_code) for s in life.before] == [(1, 5, 1)]
    (last,) = build(restarted + lines(step(9, "a", "ended", exit=2), step(11, "a", "started"))).steps
    assert [(s.started, s.exit_code) for s in (*last.before, last)] == [(1, 1), (6, 2), (11, None)]
    assert build(first).steps[0].before == ()


def test_a_worker_that_was_ready_is_not_probed_after_a_restart() -> None:
    """Its later lives have no readiness; a life that ended before the count was not ready."""
    start = lines(stage(0, "worker"), step(1, "decode_0", "started"), step(1, "prefill_0", "started"))
    anew = lines(*(step(at, "decode_0", state, exit=1) for at, state in ((20, "ended"), (25, "started"))))
    late = build(start + lines(counted(9, 1, 1)) + anew + anew)
    (decode,) = (s for s in late.steps if s.name == "decode_0")
    assert [(s.ready, s.awaited) for s in (*decode.before, decode)] == [
        (9, True),
        (None, False),
        (None, False),
    ]
    soon = build(start + anew + lines(counted(30, 1, 1)))
    (decode,) = (s for s in soon.steps if s.name == "decode_0")
    assert [(s.ready, s.awaited) for s in (*decode.before, decode)] == [(None, True), (30, True)]


def test_restarts_are_marked() -> None:
    """A row shows all lives: bars, a cross for each error, a triangle for each restart, and exit codes where they fit."""
    ends = (
        StepLife("a", 0, ready=10, ended=20, exit_code=1, awaited=True),
        StepLife("a", 21, ended=50, exit_code=137),
    )
    job_timeline = lives(StepLife("a", 75, ended=90, exit_code=2, before=ends))
    axes = gantt.timeline_chart("x", job_timeline).axes[0]
    assert [bar[:2] for bar in bars(job_timeline)[1]] == [(0, 10), (10, 20), (21, 50), (75, 90)]
    marks = {line.get_marker(): list(line.get_xdata()) for line in axes.get_lines()}  # type: ignore[arg-type]
    assert marks[9] == [21, 75]
    assert [list(line.get_xdata()) for line in axes.get_lines() if line.get_marker() == "x"] == [
        [20],
        [50],
        [90],
    ]  # type: ignore[arg-type]
    assert [t.get_text() for t in axes.texts if "exit" in t.get_text()] == [
        "exit 137",
        "exit 2, restarts: 2",
    ]
    assert "restart" in legend(job_timeline)
    assert "restart" not in legend(lives(StepLife("a", 0)))


def test_a_restarted_step_is_shown_before_steps_that_were_never_ready() -> None:
    """Of many steps, restarted ones are more interesting."""
    never = [StepLife(f"never_{n}", 0, awaited=True) for n in range(40)]
    restarted = StepLife("restarted", 9, before=(StepLife("restarted", 0, ended=5),))
    assert gantt.select_steps([*never, restarted]) == [*never[:39], restarted]


def test_runs_with_several_tries_are_framed(tmp_path: Path) -> None:
    """The frame is in the benchmark's row, placed relative to ``written_at``, and never extends beyond the step."""
    zero = 1_700_000_000
    tried = [
        record(2) | {"tries": t, "began_at": zero + at, "wall_s": long}
        for t, at, long in ((1, 92, 8), (3, 100, 60), (2, 180, 500))
    ]
    end = datetime.fromtimestamp(zero + 205, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S%z")
    (summary,) = load.load([job(tmp_path, 1, *tried, events=EVENTS, written_at=end)])
    job_timeline = timeline.timeline_of(summary)
    assert job_timeline
    assert [(r.begin, r.end, r.tries) for r in job_timeline.retried] == [(100, 160, 3), (180, 203, 2)]
    axes = gantt.timeline_chart("x", job_timeline).axes[0]
    row = [t.get_text() for t in axes.get_yticklabels()].index("benchmark")
    assert [bar[:2] for bar in bars(job_timeline)[row]] == [(91, 203), (100, 160), (180, 203)]
    assert [t.get_text() for t in axes.texts if "tries" in t.get_text()] == ["3 tries", "2 tries"]
    assert "run with several tries" in legend(job_timeline)
    for more in ({"written_at": "x"}, {"class": "running", "written_at": end}):
        (summary,) = load.load([job(tmp_path / str(len(more)), 1, *tried, events=EVENTS, **more)])
        other = timeline.timeline_of(summary)
        assert other
        assert other.retried == (), "their times are not known"


def test_aggregated_workers_are_shown_as_aggregated() -> None:
    """A frontend counts them as decode; the timeline shows them as ``agg``."""
    plan = {"steps": [{"name": "agg_0", "mode": "agg"}], "probes": [{"step": "frontend_0"}]}
    job_timeline = build(
        lines(stage(0, "worker"), step(1, "agg_0", "started"), counted(7, 0, 1, (0, 1))), plan
    )
    assert (job_timeline.counts, job_timeline.steps[0].ready) == ((Count("agg", 1, ((7, 1),)),), 7)


def test_every_kind_of_readiness_looks_different() -> None:
    """Light while starting, then solid; hatched if never ready; dotted if unknown; grey without a probe; all in the legend."""
    job_timeline = lives(
        StepLife("ready", 10, ready=40, ended=90, awaited=True), StepLife("never", 10, awaited=True),
        StepLife("some", 10, awaited=True, partly_ready=True), StepLife("benchmark", 50, ended=80),
    )  # fmt: skip
    rows = bars(job_timeline)
    blue, white, grey = "#0072b2", "#ffffff", "#999999"
    assert [rows[n] for n in (1, 2, 3, 4)] == [
        [(10, 40, 0.3, blue, ""), (40, 90, 0.75, blue, "")],
        [(10, 100, 1.0, white, "////")],
        [(10, 100, 1.0, white, "...")],
        [(50, 80, 0.75, grey, "")],
    ]
    assert legend(job_timeline) == [
        "starting",
        "ready",
        "never ready",
        "some workers of the mode ready",
        "no readiness check",
    ]


def test_the_legend_lists_only_what_is_drawn() -> None:
    """It also lists stages that are too short for their name."""
    job_timeline = Timeline(
        (Span("infra", 0, 0.2), Span("benchmark", 0.2, 100)), (StepLife("a", 0, ready=9, awaited=True),), 100
    )
    assert legend(job_timeline) == ["starting", "ready", "stage infra"]


def test_a_failed_step_has_a_cross(tmp_path: Path) -> None:
    """The timeline shows which step failed with which exit code, and how long the other steps took to become ready."""
    job_timeline = timeline.read_timeline(job(tmp_path, 1, record(2), events=EVENTS))
    assert job_timeline
    axes = gantt.timeline_chart("x", job_timeline).axes[0]
    assert {"58 s", "88 s", "87 s", "exit 9", "health", "benchmark"} <= {t.get_text() for t in axes.texts}
    (cross,) = [line for line in axes.get_lines() if line.get_marker() == "x"]
    assert (list(cross.get_xdata()), list(cross.get_ydata())) == ([200], [4])  # type: ignore[arg-type]
    assert "nonzero exit code" in legend(job_timeline)


def test_the_axes_of_a_timeline_are_labelled(tmp_path: Path) -> None:
    """Rows run from top to bottom and seconds from left to right; the title names the job."""
    job_timeline = timeline.read_timeline(job(tmp_path, 1, record(2), events=EVENTS))
    assert job_timeline
    axes = gantt.timeline_chart("dsr1 1", job_timeline).axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == [
        "stage", "prefill ready", "decode ready", "prefill_0", "decode_0", "router_0", "benchmark",
    ]  # fmt: skip
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    assert axes.get_xlabel() == "seconds since the start of the job"
    assert axes.get_title(loc="left") == "dsr1 1"
    assert (axes.get_xlim()[0], axes.get_xlim()[1] > 205) == (0, True)


def test_counts_rise_in_a_row_of_their_own() -> None:
    """The staircase reaches full height when all workers are ready, and its last number is always shown."""
    job_timeline = lives(StepLife("a", 0), counts=(Count("decode", 4, ((10, 0), (30, 1), (31, 2), (60, 4))),))
    axes = gantt.timeline_chart("x", job_timeline).axes[0]
    (line,) = axes.get_lines()
    assert list(line.get_xdata()) == [10, 30, 31, 60, 100]  # type: ignore[arg-type]
    assert list(line.get_ydata()) == pytest.approx([1.3, 1.15, 1.0, 0.7, 0.7])
    assert line.get_drawstyle() == "steps-post"
    assert [t.get_text() for t in axes.texts] == ["benchmark", "4/4", "2/4", "0/4"]


def test_only_the_most_interesting_of_many_steps_are_shown() -> None:
    """Failed steps come first, then never ready, then the slowest, in plan order; the title shows how many are drawn."""
    fast = [StepLife(f"fast_{n}", 0, ready=1 + n / 100, ended=90, awaited=True) for n in range(40)]
    plain = [StepLife(f"plain_{n}", 0, ended=90) for n in range(40)]
    slow = [StepLife(f"slow_{n}", 0, ready=80, awaited=True) for n in range(10)]
    never = [StepLife(f"never_{n}", 0, awaited=True) for n in range(20)]
    failed = [StepLife(f"failed_{n}", 0, ready=1, ended=50, exit_code=1, awaited=True) for n in range(8)]
    job_timeline = lives(*fast, *never, *plain, *slow, *failed)
    axes = gantt.timeline_chart("job", job_timeline).axes[0]
    shown = [t.get_text() for t in axes.get_yticklabels()][1:]
    assert shown == ["fast_38", "fast_39", *(s.name for s in (*never, *slow, *failed))]
    assert axes.get_title(loc="left") == "job (40 of 118 steps)"
    some = [StepLife(f"some_{n}", 0, awaited=True, partly_ready=True) for n in range(60)]
    assert gantt.select_steps([*some, *never, *failed]) == [*some[:12], *never, *failed]
