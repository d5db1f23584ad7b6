"""A run of a job as Python has it: its ``results/summary.json``, or what stands in for it where nothing was measured.

In: the parsed JSON (format ``srtplan.results/1``). Out: a ``Summary`` with a ``Record`` per measured run::

    summary.records[0].number("output_tokens_per_s_per_gpu")   ->  619.2, or None where it is not known
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
    """An object's members; none of what is no object."""
    return cast("Values", value) if isinstance(value, Mapping) else {}


def items(value: object) -> list[object]:
    """A list's items; none of what is no list."""
    return cast("list[object]", value) if isinstance(value, list) else []


def as_number(value: object) -> float | None:
    """A number that can be drawn and compared; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def as_text(value: object) -> str:
    """A text that can be printed; empty for nothing."""
    return "" if value is None else str(value).encode("utf-8", "replace").decode()


@frozen(eq=False)
class Record:
    """One measured run: ``status`` is ok, failed, or missing (it never came to it)."""

    values: Values

    def number(self, name: str) -> float | None:
        """A figure; None where the client did not say it."""
        return as_number(self.values.get(name))

    def text(self, name: str) -> str:
        """A text; empty where there is none."""
        return as_text(self.values.get(name))

    @property
    def name(self) -> str:
        """``concurrency_64``."""
        return self.text("name")

    @property
    def is_ok(self) -> bool:
        """It left a result that counts."""
        return self.text("status") == "ok"

    @property
    def scores(self) -> dict[str, float]:
        """What an evaluation measured, by name."""
        known = {as_text(k): as_number(v) for k, v in members(self.values.get("scores")).items()}
        return {k: v for k, v in known.items() if v is not None}

    @property
    def lower_is_better(self) -> frozenset[str]:
        """The scores of which the evaluator itself says so."""
        listed = self.values.get("lower_is_better")
        return frozenset(as_text(name) for name in listed) if isinstance(listed, list) else frozenset()


@frozen(eq=False)
class Summary:
    """One run of a job. ``run_dir`` holds its ``results``, ``events.jsonl`` and ``bundle``."""

    run_dir: Path
    values: Values

    def text(self, name: str) -> str:
        """A text; empty where there is none."""
        return as_text(self.values.get(name))

    def parameter(self, name: str) -> str:
        """A parameter of the benchmark; empty where there is none."""
        return as_text(members(self.values.get("parameters")).get(name))

    @property
    def records(self) -> tuple[Record, ...]:
        """All runs that were planned, in order."""
        return tuple(Record(members(v)) for v in items(self.values.get("runs")))

    @property
    def good(self) -> tuple[Record, ...]:
        """Those that count."""
        return tuple(r for r in self.records if r.is_ok)

    @property
    def gpus(self) -> Mapping[str, int]:
        """GPUs by role, and ``total``."""
        return cast("Mapping[str, int]", members(self.values.get("gpus")))

    @property
    def label(self) -> str:
        """Job name and id, and the attempt if it is not the first."""
        attempt = self.text("attempt")
        again = f" {attempt}" if attempt not in ("", "attempt_0") else ""
        return f"{self.text('name')} {self.text('job_id')}{again}"


def shape_error(values: Values) -> str:
    """What a summary has that none of ours has, as a sentence; empty if it is as it must be."""
    runs = values.get("runs")
    if not isinstance(runs, list):
        return "runs is no list"
    for name in ("gpus", "parameters"):
        if not isinstance(values.get(name), Mapping | None):
            return f"{name} is no object"
    for role, count in members(values.get("gpus")).items():
        if not isinstance(count, int) or isinstance(count, bool):
            return f"gpus.{role} is no whole number"
    wrong = ((n, _run_shape_error(run)) for n, run in enumerate(runs))
    return next((f"runs[{n}]{what}" for n, what in wrong if what), "")


def _run_shape_error(run: object) -> str:
    if not isinstance(run, Mapping):
        return " is no object"
    if not isinstance(run.get("name"), str):
        return " has no name"
    if not isinstance(run.get("scores"), Mapping | None):
        return ".scores is no object"
    concurrency = run.get("concurrency")
    if concurrency is not None and (as_number(concurrency) or 0) <= 0:
        return f".concurrency is {concurrency!r}, no number above 0"
    return ""
