"""Two runs beside each other: figures with their change in percent, and how the plans differ.

In: two summaries. Out: rows per measured run and figure; a change for the worse is positive in ``worse``::

    Change("concurrency_4", "ttft_ms_p99", 20.5, 24.6, worse=20.0)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import frozen

from srtplan.results.model import Record, Summary
from srtplan.results.table import align, figure

BETTER_HIGH = ("output_tokens_per_s_per_gpu", "tokens_per_s_per_user", "requests_per_s", "score")
BETTER_LOW = ("ttft_ms_p50", "ttft_ms_p99", "tpot_ms_p50", "tpot_ms_p99", "e2e_ms_p99")


@frozen
class Change:
    """One figure of one run, before and after; ``worse`` in percent, negative for the better."""

    run: str
    figure: str
    before: float
    after: float
    worse: float


def changes(a: Summary, b: Summary) -> list[Change]:
    """Every figure that both have of a run of the same name."""
    later = {r.name: r for r in b.good}
    return [c for r in a.good if r.name in later for c in _of(r, later[r.name])]


def _of(a: Record, b: Record) -> Iterable[Change]:
    for name in (*BETTER_HIGH, *BETTER_LOW):
        before, after = a.number(name), b.number(name)
        if before is not None and after is not None and before > 0:
            change = (after - before) / before * 100
            yield Change(a.name, name, before, after, -change if name in BETTER_HIGH else change)


def unmatched(a: Summary, b: Summary) -> list[str]:
    """Sentences about runs that only one of them has a result of."""
    ours, theirs = {r.name for r in a.good}, {r.name for r in b.good}
    lost = [f"{n}: no result in {b.label}" for n in sorted(ours - theirs)]
    return lost + [f"{n}: no result in {a.label}" for n in sorted(theirs - ours)]


def worst(found: Iterable[Change]) -> float:
    """The largest regression in percent; 0 if nothing is worse."""
    return max((c.worse for c in found), default=0.0) if found else 0.0


def render(a: Summary, b: Summary, plan: Sequence[str], *, threshold: float) -> str:
    """The page of text; changes above the threshold are marked."""
    found = changes(a, b)
    table = [["run", "figure", "A", "B", "change", ""], *(_row(c, threshold) for c in found)]
    lines = [f"A  {a.label}  {a.run_dir}", f"B  {b.label}  {b.run_dir}", ""]
    lines += [f"  {line}" for line in align(table)] if found else ["  no run has figures in both"]
    lines += [f"  {line}" for line in unmatched(a, b)]
    lines += ["", "Plans: " + ("no difference" if not plan else "")]
    return "\n".join(line.rstrip() for line in [*lines, *(f"  {line}" for line in plan)]) + "\n"


def _row(c: Change, threshold: float) -> list[str]:
    change = (c.after - c.before) / c.before * 100
    mark = "worse" if c.worse > threshold else "better" if -c.worse > threshold else ""
    return [c.run, c.figure, figure(c.before), figure(c.after), f"{change:+.1f} %", mark]
