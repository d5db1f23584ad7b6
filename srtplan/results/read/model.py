"""The typed form of ``results/summary.json``, or of the summary that replaces a missing file.

In: the parsed JSON (format ``srtplan.results/1``). Out: a ``Summary`` with a ``Record`` per measured run::

    summary.records[0].number("output_tokens_per_s_per_gpu")   ->  619.2, or None if unknown
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from attrs import frozen

FORMAT = "srtplan.results/1"
Values = Mapping[str, object]


def members(value: object) -> Values:
    """The members of a JSON object; empty for any other value."""
    return cast("Values", value) if isinstance(value, Mapping) else {}


def items(value: object) -> list[object]:
    """The items of a list; empty for any other value."""
    return cast("list[object]", value) if isinstance(value, list) else []


def as_number(value: object) -> float | None:
    """A finite number as float; None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def as_text(value: object) -> str:
    """A value as text that can be encoded in UTF-8; empty for None."""
    return "" if value is None else str(value).encode("utf-8", "replace").decode()


@frozen(eq=False)
class Record:
    """One planned run of the benchmark: ``status`` is ok, failed, or missing (it never started)."""

    values: Values

    def number(self, name: str) -> float | None:
        """A figure; None if the client did not report it."""
        return as_number(self.values.get(name))

    def text(self, name: str) -> str:
        """A value as text; empty if it is missing."""
        return as_text(self.values.get(name))

    @property
    def name(self) -> str:
        """The name of the run, such as ``concurrency_64``."""
        return self.text("name")

    @property
    def is_ok(self) -> bool:
        """Whether the run has a valid result."""
        return self.text("status") == "ok"

    @property
    def scores(self) -> dict[str, float]:
        """Scores of an evaluation by name."""
        known = {as_text(k): as_number(v) for k, v in members(self.values.get("scores")).items()}
        return {k: v for k, v in known.items() if v is not None}

    @property
    def lower_is_better(self) -> frozenset[str]:
        """The scores that the evaluator marks as lower-is-better."""
        listed = self.values.get("lower_is_better")
        return frozenset(as_text(name) for name in listed) if isinstance(listed, list) else frozenset()


@frozen(eq=False)
class Summary:
    """One run of a job. ``run_dir`` holds its ``results``, ``events.jsonl`` and ``bundle``."""

    run_dir: Path
    values: Values

    def text(self, name: str) -> str:
        """A value as text; empty if it is missing."""
        return as_text(self.values.get(name))

    def parameter(self, name: str) -> str:
        """A parameter of the benchmark; empty if it is not set."""
        return as_text(members(self.values.get("parameters")).get(name))

    @property
    def records(self) -> tuple[Record, ...]:
        """All planned runs, in order."""
        return tuple(Record(members(v)) for v in items(self.values.get("runs")))

    @property
    def good(self) -> tuple[Record, ...]:
        """The runs with a valid result."""
        return tuple(r for r in self.records if r.is_ok)

    @property
    def gpus(self) -> Mapping[str, int]:
        """GPUs by role, and ``total``."""
        return cast("Mapping[str, int]", members(self.values.get("gpus")))

    @property
    def label(self) -> str:
        """Job name and id, and the attempt if it is not the first."""
        attempt = self.text("attempt")
        suffix = f" {attempt}" if attempt not in ("", "attempt_0") else ""
        return f"{self.text('name')} {self.text('job_id')}{suffix}"


def shape_error(values: Values) -> str:
    """The first error in the types of a summary's values; empty if there is none."""
    runs = values.get("runs")
    if not isinstance(runs, list):
        return "'runs' must be a list"
    for name in ("gpus", "parameters"):
        if not isinstance(values.get(name), Mapping | None):
            return f"'{name}' must be an object"
    for role, count in members(values.get("gpus")).items():
        if not isinstance(count, int) or isinstance(count, bool):
            return f"'gpus.{role}' must be an integer"
    errors = (_run_shape_error(f"runs[{n}]", run) for n, run in enumerate(runs))
    return next(filter(None, errors), "")


def _run_shape_error(place: str, run: object) -> str:
    if not isinstance(run, Mapping):
        return f"'{place}' must be an object"
    if not isinstance(run.get("name"), str):
        return f"'{place}.name' must be a string"
    if not isinstance(run.get("scores"), Mapping | None):
        return f"'{place}.scores' must be an object"
    concurrency = run.get("concurrency")
    if concurrency is not None and (as_number(concurrency) or 0) <= 0:
        return f"'{place}.concurrency' must be a number above 0, not {concurrency!r}"
    return ""
