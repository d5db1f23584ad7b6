"""What happened when, from a run's ``events.jsonl`` and its Plan.

In: lines such as ``{"t":3.21,"event":"step","step":"agg_0","state":"ready"}``. Out: stages with begin and end, steps with
start, ready and end, and how many workers were counted when, in seconds since the start of the job. A line that cannot be
read (a full disk) is left out.

A worker behind a frontend that counts has no ready time of its own: it is taken as ready when the count of its mode is full.
Of a step that was started again all lives are kept; once a step was ready nobody asks its next lives.
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
    """A stage of the job, ``end`` being the beginning of the next."""

    name: str
    begin: float
    end: float


@define
class StepLife:
    """A step: when it started, was ready, ended; its exit code.

    ``awaited``: the job waited for it to be ready. ``among``: some of its mode were ready, and nobody knows whether it was.
    ``before``: its earlier lives, if it was started again.
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
    """A run of the benchmark that took several tries, from the beginning of the first to the end of the last."""

    name: str
    begin: float
    end: float
    tries: int


@frozen
class Count:
    """Workers of a mode that all frontends knew: ``points`` are (when, how many), each where it changed."""

    mode: str
    wanted: int
    points: tuple[tuple[float, int], ...]

    @property
    def full(self) -> float | None:
        """When all were ready for the first time."""
        return next((at for at, number in self.points if number >= self.wanted), None)


@frozen
class Timeline:
    """All of a job; ``end`` is its last event."""

    stages: tuple[Span, ...]
    steps: tuple[StepLife, ...]
    end: float
    counts: tuple[Count, ...] = ()
    retried: tuple[RetriedRun, ...] = ()


def timeline_of(summary: Summary) -> Timeline | None:
    """The timeline of a run with what its summary adds: runs of the benchmark that were tried again."""
    told = read_timeline(summary.run_dir)
    return None if told is None else evolve(told, retried=tuple(_retried_runs(summary, told)))


def _retried_runs(summary: Summary, told: Timeline) -> Iterable[RetriedRun]:
    """Records have Unix times. The summary of a job that has ended was written at its very end, which is the last event."""
    bench = next((s for s in told.steps if s.name == BENCHMARK), None)
    try:
        zero = datetime.strptime(summary.text("written_at"), "%Y-%m-%dT%H:%M:%S%z").timestamp() - told.end
    except (ValueError, OverflowError):
        return
    if bench is None or summary.text("class") == "running":
        return
    first, last = bench.started, told.end if bench.ended is None else bench.ended
    for record in summary.records:
        tries, at, long = (record.number(k) for k in ("tries", "began_at", "wall_s"))
        if tries is not None and tries > 1 and at is not None and long is not None:
            begin = min(max(at - zero, first), last)  # both clocks are rounded
            yield RetriedRun(record.name, begin, min(begin + max(long, 0), last), int(tries))


def restarted_steps(run_dir: Path) -> dict[str, list[int | None]]:
    """The steps that were started again, each with the exit codes of its lives but the last."""
    ended: dict[str, list[int | None]] = {}
    again: dict[str, list[int | None]] = {}
    for event in _events(run_dir, '"step"'):
        step, state, code = as_text(event.get("step")), event.get("state"), event.get("exit")
        if state == "ended":
            ended.setdefault(step, []).append(code if isinstance(code, int) else None)
        elif state == "started" and step in ended:
            again[step] = list(ended[step])
    return again


def read_timeline(run_dir: Path) -> Timeline | None:
    """The timeline of a run; None without events."""
    return build_timeline(_events(run_dir), read_plan(run_dir))


def _events(run_dir: Path, word: str = "") -> Iterable[Values]:
    """The events, or only those whose line has a word; none if there is no file."""
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
    """The timeline of events in order; without a Plan nothing is known of workers that have no ready event."""
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


def _record_count(found: dict[str, _Tally], told: Values, at: float) -> None:
    for mode in COUNTED:
        number, wanted = as_number(told.get(mode)), as_number(told.get(f"{mode}_wanted"))
        if number is not None and wanted:
            tally = found.setdefault(mode, _Tally(int(wanted), []))
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
    """A step with what its probe, or the count of its mode, says of each of its lives."""
    asked = True
    lives = []
    for one in (*life.before, evolve(life, before=())):
        judged = _life_with_readiness(one, count, probed) if asked else one
        asked = asked and judged.ready is None
        lives.append(judged)
    return evolve(lives[-1], before=tuple(lives[:-1]))


def _life_with_readiness(life: StepLife, count: Count | None, probed: set[str]) -> StepLife:
    if life.ready is not None or life.name in probed:
        return evolve(life, awaited=True)
    if count is None:
        return life
    full = count.full
    in_time = full is not None and full >= life.started and (life.ended is None or full <= life.ended)
    among = full is None and any(number for _, number in count.points)
    return evolve(life, awaited=True, ready=full if in_time else None, partly_ready=among)


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
