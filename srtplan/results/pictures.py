"""Which pictures there are of some jobs, with their names and a line of explanation.

In: summaries. Out: pictures as bytes; for files ``throughput.png``, ``latency.png``, ``timeline_<job>.png``.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Sequence

from attrs import frozen

from srtplan.results import timeline
from srtplan.results.model import Summary


@frozen
class Picture:
    """``name`` is a file name without suffix."""

    name: str
    title: str
    note: str
    content: bytes


def available() -> bool:
    """Matplotlib is here."""
    return importlib.util.find_spec("matplotlib") is not None


def draw(summaries: Sequence[Summary], kind: str) -> Iterator[Picture]:
    """All pictures as ``png`` or ``svg``."""
    from srtplan.results import charts  # noqa: PLC0415 -- matplotlib takes its time, and may not be there

    note = "A point is a run, its number the concurrency. The grey band is what no other run beats in both."
    for name, title, text, figure in (
        ("throughput", "Throughput and interactivity", note, charts.throughput(summaries)),
        (
            "latency",
            "Latency",
            "Full lines are medians, dashed lines 99th percentiles.",
            charts.latency(summaries),
        ),
    ):
        if figure is not None:
            yield Picture(name, title, text, charts.rendered(figure, kind))
    for summary in summaries:
        told = timeline.read(summary.run_dir)
        if told is not None:
            name = re.sub(r"[^A-Za-z0-9.-]+", "_", f"timeline_{summary.label}")
            figure = charts.timeline(summary.label, told)
            text = "Light: starting; full: ready, after so many seconds; a cross: ended with an error."
            yield Picture(name, f"Timeline of {summary.label}", text, charts.rendered(figure, kind))
