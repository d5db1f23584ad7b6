"""The timeline of a run, from its ``events.jsonl`` and its Plan.

In: lines such as ``{"t":3.21,"event":"step","step":"agg_0","state":"ready"}``. Out: the begin and end of stages, the start,
ready and end times of steps, and worker counts over time, all in seconds since the start of the job. Invalid lines are
skipped: a full disk truncates them.

A worker behind a frontend that counts workers has no ready time of its own. It counts as ready when all workers of its mode
are. A restarted step keeps all its lives. Once a step was ready, its later lives have no readiness check.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from attrs import define, evolve, frozen

from srtplan.results.read.model import Summary, Values, as_number, as_text, items, members
from srtplan.results.read.run_files import read_plan

BENCHMARK = "benchmark"
COUNTED = ("prefill", "decode")
"""What frontends count; aggregated workers are among ``decode``."""


@frozen
class Span:
    """A stage of the job; it ends when the next stage begins."""

    name: str
    begin: float
    end: float


@define
class StepLife:
    """One life of a step: when it started, became ready and ended, and its exit code.

    ``awaited``: the job waited until it was ready. ``partly_ready``: some workers of its mode were ready, and it is
    unknown whether this one was. ``before``: its earlier lives, if it was restarted.
    """

    name: str
    started: float
    ready: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    awaited: bool = False
    partly_ready: bool = False
    before: tuple[StepLife, ...] = ()


@frozen
class RetriedRun:
    """A run of the benchmark with more than one try, from the beginning of the first to the end of the last."""

    name: str
    begin: float
    end: float
    tries: int


@frozen
class Count:
    """Workers of a mode that every frontend lists: ``points`` are (time, number), one per change."""

    mode: str
    wanted: int
    points: tuple[tuple[float, int], ...]

    @property
    def full(self) -> float | None:
        """The first time at which all workers were ready."""
        return next((at for at, number in self.points if number >= self.wanted), None)


@frozen
class Timeline:
    """Stages, steps and worker counts of a job; ``end`` is the time of its last event."""

    stages: tuple[Span, ...]
    steps: tuple[StepLife, ...]
    end: float
    counts: tuple[Count, ...] = ()
    retried: tuple[RetriedRun, ...] = ()


def timeline_of(summary: Summary) -> Timeline | None:
    """The timeline of a run, with the retried runs of the benchmark from its summary; None without events."""
    timeline = read_timeline(summary.run_dir)
    return None if timeline is None else evolve(timeline, retried=tuple(_retried_runs(summary, timeline)))


def _retried_runs(summary: Summary, timeline: Timeline) -> Iterable[RetriedRun]:
    """The runs with more than one try.

    Records have Unix times. A finished job writes its summary last, so ``written_at`` is the time of the last event.
    """
    bench = next((s for s in timeline.steps if s.name == BENCHMARK), None)
    try:
        written = datetime.strptime(summary.text("written_at"), "%Y-%m-%dT%H:%M:%S%z")
        zero = written.timestamp() - timeline.end
    except (ValueError, OverflowError):
        return
    if bench is None or summary.text("class") == "running":
        return
    first, last = bench.started, timeline.end if bench.ended is None else bench.ended
    for record in summary.records:
        tries, at, long = (record.number(k) for k in ("tries", "began_at", "wall_s"))
        if tries is not None and tries > 1 and at is not None and long is not None:
            begin = min(max(at - zero, first), last)  # both clocks are rounded
            yield RetriedRun(record.name, begin, min(begin + max(long, 0), last), int(tries))


def restarted_steps(run_dir: Path) -> dict[str, list[int | None]]:
    """The restarted steps, each with the exit codes of all lives but the last."""
    ended: dict[str, list[int | None]] = {}
    restarted: dict[str, list[int | None]] = {}
    for event in _events(run_dir, '"step"'):
        step, state, code = as_text(event.get("step")), event.get("state"), event.get("exit")
        if state == "ended":
            ended.setdefault(step, []).append(code if isinstance(code, int) else None)
        elif state == "started" and step in ended:
            restarted[step] = list(ended[step])
    return restarted


def read_timeline(run_dir: Path) -> Timeline | None:
    """The timeline of a run; None without events."""
    return build_timeline(_events(run_dir), read_plan(run_dir))


def _events(run_dir: Path, word: str = "") -> Iterable[Values]:
    """The events of a run, or only those whose line contains ``word``; nothing if the file is missing."""
    try:
        lines = (run_dir / "events.jsonl").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        if word not in line:
            continue
        try:
            event = members(json.loads(line))
        except (ValueError, RecursionError):
            continue
        if as_number(event.get("t")) is not None:
            yield event


def build_timeline(events: Iterable[Values], plan: Values) -> Timeline | None:
    """The timeline of events in order. Without a Plan, workers without a ready event have no readiness."""
    marks: list[tuple[str, float]] = []
    steps: dict[str, StepLife] = {}
    tallies: dict[str, _Tally] = {}
    last = 0.0
    for event in events:
        at = as_number(event["t"]) or 0.0
        last = max(last, at)
        kind = event.get("event")
        if kind == "stage" and (not marks or marks[-1][0] != event.get("stage")):
            marks.append((as_text(event.get("stage")), at))
        elif kind == "step":
            _record_step_event(steps, event, at)
        elif kind == "probes":
            _record_count(tallies, members(event.get("workers")), at)
    if not marks:
        return None
    ends = [at for _, at in marks[1:]] + [last]
    spans = tuple(Span(name, at, end) for (name, at), end in zip(marks, ends, strict=True))
    modes = _modes(plan)
    names = {"decode": "agg"} if "agg" in modes.values() else {}
    counts = {mode: Count(names.get(mode, mode), t.wanted, tuple(t.points)) for mode, t in tallies.items()}
    probed = {as_text(members(p).get("step")) for p in items(plan.get("probes"))}
    lives = (
        _with_readiness(life, counts.get(_counted_as(modes.get(life.name, ""))), probed)
        for life in steps.values()
    )
    return Timeline(spans, tuple(lives), last, tuple(counts.values()))


@define
class _Tally:
    wanted: int
    points: list[tuple[float, int]]


def _record_count(tallies: dict[str, _Tally], workers: Values, at: float) -> None:
    for mode in COUNTED:
        number, wanted = as_number(workers.get(mode)), as_number(workers.get(f"{mode}_wanted"))
        if number is not None and wanted:
            tally = tallies.setdefault(mode, _Tally(int(wanted), []))
            tally.wanted = int(wanted)
            if not tally.points or tally.points[-1][1] != int(number):
                tally.points.append((at, int(number)))


def _modes(plan: Values) -> Mapping[str, str]:
    """The mode of each worker's step."""
    steps = map(members, items(plan.get("steps")))
    return {as_text(s.get("name")): as_text(s.get("mode")) for s in steps if s.get("mode")}


def _counted_as(mode: str) -> str:
    return "decode" if mode == "agg" else mode


def _with_readiness(life: StepLife, count: Count | None, probed: set[str]) -> StepLife:
    """A step with the readiness of each life, from its probe or from the worker count of its mode."""
    is_probed = True
    lives = []
    for one in (*life.before, evolve(life, before=())):
        judged = _life_with_readiness(one, count, probed) if is_probed else one
        is_probed = is_probed and judged.ready is None
        lives.append(judged)
    return evolve(lives[-1], before=tuple(lives[:-1]))


def _life_with_readiness(life: StepLife, count: Count | None, probed: set[str]) -> StepLife:
    if life.ready is not None or life.name in probed:
        return evolve(life, awaited=True)
    if count is None:
        return life
    full = count.full
    in_time = full is not None and full >= life.started and (life.ended is None or full <= life.ended)
    partly = full is None and any(number for _, number in count.points)
    return evolve(life, awaited=True, ready=full if in_time else None, partly_ready=partly)


def _record_step_event(steps: dict[str, StepLife], event: Values, at: float) -> None:
    name = as_text(event.get("step"))
    life = steps.setdefault(name, StepLife(name, at))
    state = event.get("state")
    if state == "started" and life.ended is not None:
        steps[name] = StepLife(name, at, before=(*life.before, evolve(life, before=())))
    elif state == "ready":
        life.ready = at
    elif state == "ended":
        life.ended = at
        code = event.get("exit")
        life.exit_code = code if isinstance(code, int) else None
