"""A run's ``results/summary.json`` as Python has it.

In: the parsed JSON (format ``srtplan.results/1``). Out: a ``Summary`` with a ``Record`` per measured run::

    summary.records[0].number("output_tokens_per_s_per_gpu")   ->  619.2, or None where it is not known
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from attrs import frozen

FORMAT = "srtplan.results/1"
Values = Mapping[str, object]


@frozen(eq=False)
class Record:
    """One measured run: ``status`` is ok, failed, or missing (it never came to it)."""

    values: Values

    def number(self, name: str) -> float | None:
        """A figure; None where the client did not say it."""
        value = self.values.get(name)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def text(self, name: str) -> str:
        """A text; empty where there is none."""
        value = self.values.get(name)
        return "" if value is None else str(value)

    @property
    def name(self) -> str:
        """``concurrency_64``."""
        return self.text("name")

    @property
    def is_ok(self) -> bool:
        """It left a result that counts."""
        return self.text("status") == "ok"

    @property
    def scores(self) -> Mapping[str, float]:
        """What an evaluation measured, by name."""
        return cast("Mapping[str, float]", self.values.get("scores") or {})


@frozen(eq=False)
class Summary:
    """One run of a job. ``run_dir`` holds its ``results``, ``events.jsonl`` and ``bundle``."""

    run_dir: Path
    values: Values

    def text(self, name: str) -> str:
        """A text; empty where there is none."""
        value = self.values.get(name)
        return "" if value is None else str(value)

    @property
    def records(self) -> tuple[Record, ...]:
        """All runs that were planned, in order."""
        return tuple(Record(v) for v in cast("list[Values]", self.values.get("runs") or []))

    @property
    def good(self) -> tuple[Record, ...]:
        """Those that count."""
        return tuple(r for r in self.records if r.is_ok)

    @property
    def gpus(self) -> Mapping[str, int]:
        """GPUs by role, and ``total``."""
        return cast("Mapping[str, int]", self.values.get("gpus") or {})

    @property
    def label(self) -> str:
        """Job name and id, and the attempt if it is not the first."""
        attempt = self.text("attempt")
        again = f" {attempt}" if attempt not in ("", "attempt_0") else ""
        return f"{self.text('name')} {self.text('job_id')}{again}"
