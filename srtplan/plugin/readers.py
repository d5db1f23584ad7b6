"""Map the JSON report of a load generator to the figures of ``results/summary.json``.

In: a JSON pointer per figure. Out: a bundle file ``files/readers/NAME.awk``, for runs whose ``client`` is NAME::

    REPORT = ReportReader("guidellm", {"completed": "/requests/ok", "duration_s": ("/duration_ms", 0.001)})
    Command(runs=(Run(name="c4", argv=..., result=..., client=REPORT.name),), files=(REPORT.file,))

For a report that pointers cannot describe, a plugin adds its own awk file with a function ``read_report``, as in
``templates/lib/readers``: ``PlanFile(path="readers/NAME.awk", content=...)``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import frozen

from srtplan.ir.plan import PlanFile
from srtplan.ir.shell import Lit

CLIENTS = frozenset(("", "sglang", "vllm", "trtllm", "aiperf", "sglang-eval", "lm-eval"))
"""Clients whose reports the runtime library reads; the empty name is a run without a report."""
TIMES = tuple(
    f"{time}_ms_{part}"
    for time in ("ttft", "tpot", "itl", "e2e")
    for part in ("mean", "p50", "p90", "p95", "p99", "std")
)
FIGURES = (
    "completed", "failed", "duration_s", "input_tokens", "output_tokens", "requests_per_s", "good_requests_per_s",
    "input_tokens_per_s", "output_tokens_per_s", "total_tokens_per_s", *TIMES, "accept_length", "score",
)  # fmt: skip
"""Figures that a report can contain; figures per GPU and per user are computed from them."""
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
Place = str | tuple[str, float]
"""A JSON pointer, or a pointer with a factor that converts the number to the figure's unit."""


@frozen
class ReportReader:
    """A report reader that maps figures to JSON pointers.

    A result requires ``completed``, ``duration_s``, ``output_tokens``, and ``ttft_ms_mean`` or ``ttft_ms_p50``.
    Raises ValueError for an unknown figure, a pointer that does not start with ``/``, or an invalid or reserved name.
    """

    name: str
    figures: Mapping[str, Place]

    def __attrs_post_init__(self) -> None:
        """Check the name, the figures and their pointers."""
        if not NAME.fullmatch(self.name) or self.name in CLIENTS:
            raise ValueError(f"'{self.name}' is not a valid reader name, or is reserved by srtplan")
        for figure, place in self.figures.items():
            pointer = place if isinstance(place, str) else place[0]
            if figure not in FIGURES:
                raise ValueError(f"unknown figure '{figure}'; use one of {', '.join(FIGURES)}")
            if not pointer.startswith("/"):
                raise ValueError(f"'{pointer}' is not a JSON pointer: it must start with '/'")

    @property
    def file(self) -> PlanFile:
        """The reader as a bundle file."""
        lines = [f'  M["{figure}"] = {_term(place)}' for figure, place in self.figures.items()]
        text = "\n".join((f"# The report of {self.name}.", "function read_report() {", *lines, "}", ""))
        return PlanFile(path=f"readers/{self.name}.awk", content=Lit(text))


def _term(place: Place) -> str:
    pointer, factor = (place, None) if isinstance(place, str) else place
    text = pointer.replace("\\", "\\\\").replace('"', '\\"')
    return f'number("{text}")' if factor is None else f'scaled("{text}", {factor!r})'
