"""Compare two runs of jobs: figures with their change in percent, and differences between the plans.

In: two summaries. Out: one row per measured run and figure; ``worse`` is positive if B is worse than A::

    Change("concurrency_4", "ttft_ms_p99", 20.5, 24.6, percent=20.0, worse=20.0)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from attrs import frozen

from srtplan.results.read import workload
from srtplan.results.read.model import Record, Summary
from srtplan.results.table import align, format_figure, one_line

MAX_CONDITION_LENGTH = 60
"""Maximum number of characters shown of a condition such as a command."""

HIGHER_IS_BETTER = (
    *("output_tokens_per_s_per_gpu", "tokens_per_s_per_user", "requests_per_s", "good_requests_per_s"),
    *("input_tokens_per_s", "output_tokens_per_s", "total_tokens_per_s", "total_tokens_per_s_per_gpu"),
    *("output_tokens_per_s_per_decode_gpu", "accept_length"),
)
FAILED_SHARE = "failed_share"
"""Failed requests as a share of all requests. Its change is in percentage points, because A often has no failures."""
LOWER_IS_BETTER = (
    FAILED_SHARE,
    *(f"{t}_ms_{q}" for t in ("ttft", "tpot", "itl", "e2e") for q in ("mean", "p50", "p90", "p95", "p99")),
)
ALWAYS_SHOWN = re.compile(
    r"output_tokens_per_s_per_gpu|tokens_per_s_per_user|(good_)?requests_per_s|(ttft|tpot)_ms_p(50|99)|e2e_ms_p99|scores?\b.*"
)
"""Figures that are always shown. Other figures are shown only if they changed and no figure here shows the same change."""
LOWER_IS_BETTER_SCORES = re.compile(
    r"perplexity|ppl|bits_per_byte|loss|nll|mse|rmse|mae|brier_score|ece|error|err|wer|cer|ter|edit_distance|invalid"
)
"""Metrics of which less is better, as named by lm-eval, SGLang and the literature, with or without a prefix."""
NOT_SCORES = re.compile(r".*(:std|_stderr|_std)|chars|latency|num_.*|samples|sample_len")
"""Values that evaluators write among the scores although they are not scores: neither direction is better."""


@frozen
class Change:
    """One figure of one run, before and after. ``worse`` is in percent: negative if better, 0 if neither."""

    run: str
    figure: str
    before: float
    after: float
    percent: float
    worse: float


def changes(a: Summary, b: Summary) -> list[Change]:
    """The changes of all figures that both summaries have, for runs with the same name."""
    return [c for before, after in _matching_runs(a, b) for c in _changes_of_run(before, after)]


def _matching_runs(a: Summary, b: Summary) -> Iterator[tuple[Record, Record]]:
    later = {r.name: r for r in b.good}
    return ((r, later[r.name]) for r in a.good if r.name in later)


def _comparable_figures(a: Record, b: Record) -> tuple[dict[str, float], dict[str, float]]:
    """All figures of two records, without ``score`` if both records also have it by name in ``scores``."""
    named = all(r.number("score") in r.scores.values() for r in (a, b))
    one, other = (_figures(r, () if named else ("score",)) for r in (a, b))
    return one, other


def _figures(record: Record, more: Sequence[str]) -> dict[str, float]:
    known = {name: record.number(name) for name in (*HIGHER_IS_BETTER, *more, *LOWER_IS_BETTER)} | {
        FAILED_SHARE: _failed_share(record)
    }
    return {k: v for k, v in known.items() if v is not None} | {
        f"scores.{k}": v for k, v in record.scores.items()
    }


def _failed_share(record: Record) -> float | None:
    done, failed = record.number("completed"), record.number("failed")
    return failed / (done + failed) if done is not None and failed is not None and done + failed > 0 else None


def _changes_of_run(a: Record, b: Record) -> Iterable[Change]:
    before, after = _comparable_figures(a, b)
    for name, old in before.items():
        if name in after:
            percent = (after[name] - old) * 100 if name == FAILED_SHARE else _percent(old, after[name])
            way = (
                1
                if name.removeprefix("scores.") in a.lower_is_better | b.lower_is_better
                else worse_direction(name)
            )
            yield Change(a.name, name, old, after[name], percent, percent * way if way else 0.0)


def _percent(before: float, after: float) -> float:
    if before == after:
        return 0.0
    if before == 0:
        return float("inf") if after > 0 else float("-inf")
    return (after - before) / abs(before) * 100


def worse_direction(name: str) -> int:
    """1 if higher is worse, -1 if higher is better, 0 if neither."""
    if not name.startswith("scores."):
        return 1 if name in LOWER_IS_BETTER else -1
    metric = name.removeprefix("scores.").rpartition("/")[2].partition(",")[0].lower()
    if NOT_SCORES.fullmatch(metric):
        return 0
    return 1 if re.fullmatch(rf"(.*_)?({LOWER_IS_BETTER_SCORES.pattern})", metric) else -1


def missing_results(a: Summary, b: Summary) -> list[str]:
    """Sentences about runs and figures that A has and B lacks."""
    gone = {r.name for r in a.good} - {r.name for r in b.good}
    found = [f"{r.name}: no result in {b.label}" for r in a.good if r.name in gone]
    for before, after in _matching_runs(a, b):
        ours, theirs = _comparable_figures(before, after)
        if names := [name for name in ours if name not in theirs]:
            found.append(f"{before.name}: no {', '.join(names)} in {b.label}")
    return found


def added_results(a: Summary, b: Summary) -> list[str]:
    """Sentences about runs that have a result only in B."""
    new = {r.name for r in b.good} - {r.name for r in a.good}
    return [f"{r.name}: no result in {a.label}" for r in b.good if r.name in new]


def differing_conditions(a: Summary, b: Summary) -> list[str]:
    """Conditions in which two jobs differ, so that their figures are not comparable: ``isl: 1024 and 8192``."""
    ours, theirs = _conditions(a), _conditions(b)
    names = [k for k in dict.fromkeys((*ours, *theirs)) if ours.get(k) != theirs.get(k)]
    return [_describe_difference(k, ours.get(k, "-"), theirs.get(k, "-")) for k in names]


def _conditions(s: Summary) -> dict[str, str]:
    gpus = {f"{role} GPUs" if role != "total" else "GPUs": str(n) for role, n in s.gpus.items()}
    return workload.workload_of(s).data | gpus


def _describe_difference(name: str, *values: str) -> str:
    """The name and both values; only the name if the shortened values look the same."""
    shown = dict.fromkeys(one_line(v, MAX_CONDITION_LENGTH) for v in values)
    return f"{name}: {' and '.join(shown)}" if len(shown) > 1 else name


def failures(a: Summary, b: Summary, limit: float) -> list[str]:
    """Reasons to reject B: missing results, and for each run all figures that are worse by more than ``limit`` percent."""
    found = changes(a, b)
    crossed: dict[str, list[Change]] = {}
    for c in found:
        if c.worse > limit:
            crossed.setdefault(c.run, []).append(c)
    nothing = [] if found else [f"{a.label} and {b.label} have no run in common with figures"]
    return [
        *nothing,
        *missing_results(a, b),
        *(_describe_failure(run, b, limit, cs) for run, cs in crossed.items()),
    ]


def _describe_failure(run: str, b: Summary, limit: float, crossed: Iterable[Change]) -> str:
    figures = ", ".join(
        f"{c.figure} {format_figure(c.before)} -> {format_figure(c.after)} ({c.worse:.1f} %)" for c in crossed
    )
    return f"{run}: worse by more than {limit:g} % in {b.label}: {figures}"


def render(a: Summary, b: Summary, plan: Sequence[str], *, threshold: float) -> str:
    """The comparison as text; changes above ``threshold`` percent are marked as worse or better."""
    found = changes(a, b)
    table = [
        ["run", "figure", "A", "B", "change", ""],
        *(_row(c, threshold) for c in _rows_to_show(found, threshold)),
    ]
    lines = [f"A  {a.label}  {a.run_dir}", f"B  {b.label}  {b.run_dir}", ""]
    if other := differing_conditions(a, b):
        lines += [f"  warning: not the same workload or hardware: {'; '.join(other)}", ""]
    lines += [f"  {line}" for line in align(table)] if found else ["  no run in common has figures"]
    lines += [f"  {line}" for line in (*missing_results(a, b), *added_results(a, b))]
    lines += ["", "Plans: " + ("no difference" if not plan else "")]
    return "\n".join(line.rstrip() for line in [*lines, *(f"  {line}" for line in plan)]) + "\n"


def _rows_to_show(found: Sequence[Change], threshold: float) -> list[Change]:
    """The rows to print: all of ``ALWAYS_SHOWN``, and marked changes that no such figure of the same family shows."""
    always = [bool(ALWAYS_SHOWN.fullmatch(c.figure)) for c in found]
    covered = {
        (c.run, _figure_family(c), _verdict(c, threshold))
        for c, is_always in zip(found, always, strict=True)
        if is_always
    }
    return [
        c
        for c, is_always in zip(found, always, strict=True)
        if is_always
        or (_verdict(c, threshold) and (c.run, _figure_family(c), _verdict(c, threshold)) not in covered)
    ]


def _figure_family(c: Change) -> str:
    """``ttft`` for ``ttft_ms_p90``. ITL counts as TPOT; all throughputs belong to one family."""
    kind, _, quantile = c.figure.partition("_ms_")
    return kind.replace("itl", "tpot") if quantile else re.sub(r".*_per_s(_per_.*)?", "per_s", kind)


def _verdict(c: Change, threshold: float) -> str:
    return "worse" if c.worse > threshold else "better" if -c.worse > threshold else ""


def _row(c: Change, threshold: float) -> list[str]:
    return [
        c.run,
        c.figure,
        format_figure(c.before),
        format_figure(c.after),
        f"{c.percent:+.1f} %",
        _verdict(c, threshold),
    ]
