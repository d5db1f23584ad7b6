"""The timeline of a job: what is read from events and Plan, and how the picture shows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jobs import EVENTS, PLAN, counted, job, lines, record, stage, step
from matplotlib.colors import to_hex

from srtplan.results import gantt, timeline
from srtplan.results.timeline import Count, Life, Span, Timeline

Bar = tuple[float, float, float, str, str]


def of(text: str, plan: dict[str, Any] = PLAN) -> Timeline:
    """The timeline of events as they stand in a file."""
    told = timeline.of_events([json.loads(line) for line in text.splitlines()], plan)
    assert told
    return told


def bars(told: Timeline) -> dict[int, list[Bar]]:
    """By row: begin, end, opacity, colour, hatch of what is drawn."""
    found: dict[int, list[Bar]] = {}
    for patch in gantt.timeline("x", told).axes[0].patches:
        x, width, row = patch.get_x(), patch.get_width(), round(patch.get_y() + patch.get_height() / 2)  # type: ignore[attr-defined]
        look = (patch.get_alpha() or 1.0, to_hex(patch.get_facecolor()), patch.get_hatch() or "")
        found.setdefault(row, []).append((x, x + width, *look))
    return found


def legend(told: Timeline) -> list[str]:
    """What the legend names."""
    return [t.get_text() for t in gantt.timeline("x", told).legends[0].get_texts()]


def lives(*steps: Life, counts: tuple[Count, ...] = ()) -> Timeline:
    """A timeline of a hundred seconds."""
    return Timeline((Span("benchmark", 0, 100),), steps, 100, counts)


def test_a_timeline_has_stages_and_the_lives_of_steps(tmp_path: Path) -> None:
    """Stages end where the next begins; a step has its start, ready time, end and exit code; broken lines are left out."""
    run_dir = job(tmp_path, 9, record(2), events=EVENTS + '{"t": 206, "event": "st')
    told = timeline.read(run_dir)
    assert told
    assert [(s.name, s.begin, s.end) for s in told.stages][:2] == [("preflight", 0.1, 2), ("worker", 2, 3)]
    assert [s.name for s in told.steps] == ["prefill_0", "decode_0", "router_0", "benchmark"]
    decode, router, bench = told.steps[1:]
    assert (decode.started, decode.ended, decode.exit_code) == (2, 200, 9)
    assert (router.started, router.ready, router.ended, router.exit_code) == (3, 90, None, None)
    assert (bench.ready, bench.ended, told.end) == (None, 203, 205)
    assert timeline.read(tmp_path) is None


def test_a_worker_is_ready_when_all_of_its_mode_are(tmp_path: Path) -> None:
    """Frontends count workers by mode: that is the only thing known of one behind Dynamo or a router."""
    told = timeline.read(job(tmp_path, 1, record(2), events=EVENTS))
    assert told
    assert {s.name: (s.ready, s.awaited) for s in told.steps} == {
        "prefill_0": (60, True), "decode_0": (90, True), "router_0": (90, True), "benchmark": (None, False),
    }  # fmt: skip
    assert told.counts == (
        Count("prefill", 1, ((4, 0), (60, 1))), Count("decode", 1, ((4, 0), (90, 1))),
    )  # fmt: skip


def test_a_worker_of_a_mode_that_is_not_complete_is_not_ready() -> None:
    """Whether it is among those that were counted is not known; with none counted it never was ready."""
    start = lines(stage(0, "worker"), *(step(1, n, "started") for n in ("prefill_0", "decode_0")))
    none = of(start + lines(counted(5, 0, 0, (1, 2)), counted(9, 1, 0, (1, 2))))
    some = of(start + lines(counted(5, 0, 1, (1, 2))))
    assert [(s.ready, s.awaited, s.among) for s in none.steps] == [(9, True, False), (None, True, False)]
    assert [(s.ready, s.awaited, s.among) for s in some.steps] == [(None, True, False), (None, True, True)]


def test_a_worker_that_ended_before_was_not_counted() -> None:
    """It cannot have been ready after its end; its own ready event says more than the count."""
    start = lines(stage(0, "worker"), step(1, "decode_0", "started"), step(1, "prefill_0", "started"))
    told = of(
        start + lines(step(3, "prefill_0", "ready"), step(4, "decode_0", "ended", exit=1), counted(9, 1, 1))
    )
    assert {s.name: s.ready for s in told.steps} == {"decode_0": None, "prefill_0": 3}


def test_a_step_with_a_probe_is_awaited_though_it_is_never_ready() -> None:
    """The Plan says which have one; without a Plan only those are known to be awaited that were ready."""
    text = lines(stage(0, "frontend"), *(step(1, n, "started") for n in ("router_0", "benchmark")))
    assert {s.name: s.awaited for s in of(text).steps} == {"router_0": True, "benchmark": False}
    assert [s.awaited for s in of(text + lines(step(2, "router_0", "ready")), {}).steps] == [True, False]


def test_a_step_that_was_started_again_has_not_ended() -> None:
    """Its last start counts: a worker that came back is drawn to the end of the job."""
    again = lines(
        stage(0, "worker"), step(1, "a", "started"), step(5, "a", "ended", exit=1), step(6, "a", "started")
    )
    assert [(s.started, s.ended, s.exit_code) for s in of(again).steps] == [(1, None, None)]
    assert [(s.ended, s.exit_code) for s in of(again + lines(step(9, "a", "ended", exit=2))).steps] == [
        (9, 2)
    ]


def test_aggregated_workers_are_counted_under_their_name() -> None:
    """A frontend counts them as decode; their row and their ready times say what they are."""
    plan = {"steps": [{"name": "agg_0", "mode": "agg"}], "probes": [{"step": "frontend_0"}]}
    told = of(lines(stage(0, "worker"), step(1, "agg_0", "started"), counted(7, 0, 1, (0, 1))), plan)
    assert (told.counts, told.steps[0].ready) == ((Count("agg", 1, ((7, 1),)),), 7)


def test_what_is_never_ready_does_not_look_ready() -> None:
    """Light, then full; hatched to the end; dotted; grey for what has no probe. Each kind is named in the legend."""
    told = lives(
        Life("ready", 10, ready=40, ended=90, awaited=True), Life("never", 10, awaited=True),
        Life("some", 10, awaited=True, among=True), Life("benchmark", 50, ended=80),
    )  # fmt: skip
    rows = bars(told)
    blue, white, grey = "#0072b2", "#ffffff", "#999999"
    assert [rows[n] for n in (1, 2, 3, 4)] == [
        [(10, 40, 0.3, blue, ""), (40, 90, 0.75, blue, "")],
        [(10, 100, 1.0, white, "////")],
        [(10, 100, 1.0, white, "...")],
        [(50, 80, 0.75, grey, "")],
    ]
    assert legend(told) == [
        "starting",
        "ready",
        "never ready",
        "only some of its mode ready",
        "no readiness check",
    ]


def test_the_legend_names_only_what_is_there() -> None:
    """And stages that are too short for their name."""
    told = Timeline(
        (Span("infra", 0, 0.2), Span("benchmark", 0.2, 100)), (Life("a", 0, ready=9, awaited=True),), 100
    )
    assert legend(told) == ["starting", "ready", "stage infra"]


def test_a_failed_step_has_a_cross(tmp_path: Path) -> None:
    """The timeline shows which step ended with an error, and its code; beside it how long the others took to be ready."""
    told = timeline.read(job(tmp_path, 1, record(2), events=EVENTS))
    assert told
    axes = gantt.timeline("x", told).axes[0]
    assert {"58 s", "88 s", "87 s", "exit 9", "health", "benchmark"} <= {t.get_text() for t in axes.texts}
    (cross,) = [line for line in axes.get_lines() if line.get_marker() == "x"]
    assert (list(cross.get_xdata()), list(cross.get_ydata())) == ([200], [4])  # type: ignore[arg-type]
    assert "ended with an error" in legend(told)


def test_the_axes_of_a_timeline_say_what_they_show(tmp_path: Path) -> None:
    """Rows from top to bottom, seconds from left to right, the job in the title."""
    told = timeline.read(job(tmp_path, 1, record(2), events=EVENTS))
    assert told
    axes = gantt.timeline("dsr1 1", told).axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == [
        "stage", "prefill ready", "decode ready", "prefill_0", "decode_0", "router_0", "benchmark",
    ]  # fmt: skip
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    assert axes.get_xlabel() == "seconds since the start of the job"
    assert axes.get_title(loc="left") == "dsr1 1"
    assert (axes.get_xlim()[0], axes.get_xlim()[1] > 205) == (0, True)


def test_counts_rise_in_a_row_of_their_own() -> None:
    """Up to its full height when all are ready, and the last number is always written."""
    told = lives(Life("a", 0), counts=(Count("decode", 4, ((10, 0), (30, 1), (31, 2), (60, 4))),))
    axes = gantt.timeline("x", told).axes[0]
    (line,) = axes.get_lines()
    assert list(line.get_xdata()) == [10, 30, 31, 60, 100]  # type: ignore[arg-type]
    assert list(line.get_ydata()) == pytest.approx([1.3, 1.15, 1.0, 0.7, 0.7])
    assert line.get_drawstyle() == "steps-post"
    assert [t.get_text() for t in axes.texts] == ["benchmark", "4/4", "2/4", "0/4"]


def test_of_many_steps_those_that_matter_are_shown() -> None:
    """The failed, then the never ready, then the slowest, in their own order; the picture says that it is not all."""
    fast = [Life(f"fast_{n}", 0, ready=1 + n / 100, ended=90, awaited=True) for n in range(40)]
    plain = [Life(f"plain_{n}", 0, ended=90) for n in range(40)]
    slow = [Life(f"slow_{n}", 0, ready=80, awaited=True) for n in range(10)]
    never = [Life(f"never_{n}", 0, awaited=True) for n in range(20)]
    failed = [Life(f"failed_{n}", 0, ready=1, ended=50, exit_code=1, awaited=True) for n in range(8)]
    told = lives(*fast, *never, *plain, *slow, *failed)
    axes = gantt.timeline("job", told).axes[0]
    shown = [t.get_text() for t in axes.get_yticklabels()][1:]
    assert shown == ["fast_38", "fast_39", *(s.name for s in (*never, *slow, *failed))]
    assert axes.get_title(loc="left") == "job (40 of 118 steps)"
    some = [Life(f"some_{n}", 0, awaited=True, among=True) for n in range(60)]
    assert gantt.shortened([*some, *never, *failed]) == [*some[:12], *never, *failed]
