"""What happened when, from a run's ``events.jsonl``.

In: lines such as ``{"t":3.21,"event":"step","step":"agg_0","state":"ready"}``. Out: stages with begin and end, steps with
start, ready and end, in seconds since the start of the job. A line that cannot be read (a full disk) is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from attrs import define, frozen


@frozen
class Span:
    """A stage of the job, ``end`` being the beginning of the next."""

    name: str
    begin: float
    end: float


@define
class Life:
    """A step: when it started, was ready, ended; its exit code."""

    name: str
    started: float
    ready: float | None = None
    ended: float | None = None
    exit_code: int | None = None


@frozen
class Timeline:
    """All of a job; ``end`` is its last event."""

    stages: tuple[Span, ...]
    steps: tuple[Life, ...]
    end: float


def read(run_dir: Path) -> Timeline | None:
    """The timeline of a run; None without events."""
    try:
        lines = (run_dir / "events.jsonl").read_text(errors="replace").splitlines()
    except OSError:
        return None
    return of_events(_parsed(lines))


def _parsed(lines: Iterable[str]) -> Iterable[dict[str, object]]:
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and isinstance(event.get("t"), int | float):
            yield event


def of_events(events: Iterable[dict[str, object]]) -> Timeline | None:
    """The timeline of events in order."""
    marks: list[tuple[str, float]] = []
    steps: dict[str, Life] = {}
    last = 0.0
    for event in events:
        last = max(last, _number(event["t"]))
        if event.get("event") == "stage" and (not marks or marks[-1][0] != event.get("stage")):
            marks.append((str(event.get("stage")), _number(event["t"])))
        elif event.get("event") == "step":
            _note(steps, event)
    if not marks:
        return None
    ends = [at for _, at in marks[1:]] + [last]
    spans = tuple(Span(name, at, end) for (name, at), end in zip(marks, ends, strict=True))
    return Timeline(spans, tuple(steps.values()), last)


def _note(steps: dict[str, Life], event: dict[str, object]) -> None:
    name, at = str(event.get("step")), _number(event["t"])
    life = steps.setdefault(name, Life(name, at))
    state = event.get("state")
    if state == "ready":
        life.ready = at
    elif state == "ended":
        life.ended = at
        code = event.get("exit")
        life.exit_code = code if isinstance(code, int) else None


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
