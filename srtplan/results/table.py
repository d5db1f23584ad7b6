"""Results as text, one table per run of a job.

Out::

    quickstart 875494  Qwen/Qwen3-0.6B with mocker behind dynamo, 8 GPUs (agg 8)
    sa-bench isl 128 osl 32, complete: 2 of 2 runs
      conc  requests  req/s  out tok/s  tok/s/GPU  tok/s/user  TTFT p50 ms  TTFT p99 ms  TPOT p50 ms  TPOT p99 ms  E2E p99 ms
         2        20   75.3       2408        301        2545         10.4         20.5        0.393        0.674          37
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from unicodedata import combining, east_asian_width

from srtplan.results.read.model import Record, Summary, as_text, items
from srtplan.results.read.timeline import restarted_steps

MAX_RESTARTED_STEPS = 8
INDENT, GAP = "  ", "  "
Column = tuple[str, Callable[[Record], str]]


def render(summaries: Iterable[Summary], width: int = 0) -> str:
    """All tables, an empty line between; one that is wider than a terminal of so many columns in parts below each other."""
    return "\n\n".join(_render_summary(s, width) for s in summaries) + "\n"


def format_figure(value: float | None) -> str:
    """Three significant digits, whole from 100 up; ``-`` for what is not known."""
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 -- where digits no longer matter


def one_line(text: str, longest: int) -> str:
    """A text without line breaks and what has no shape, shortened in the middle."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    if len(shown) <= longest:
        return shown
    half = (longest - 3) // 2
    return f"{shown[:half]}...{shown[-half:]}"


def rows(summary: Summary) -> tuple[list[str], list[list[str]]]:
    """Heads and cells of a summary; columns that nobody fills are left out, and all where nothing was measured."""
    if not summary.records:
        return [], []
    columns = _columns(summary)
    cells = [[cell(r) for _, cell in columns] for r in summary.records]
    used = [n for n in range(len(columns)) if n == 0 or any(row[n] not in ("-", "") for row in cells)]
    return [columns[n][0] for n in used], [[row[n] for n in used] for row in cells]


def scores(summary: Summary) -> list[list[str]]:
    """A row per score that an evaluation measured, a column per run; nothing where there are none."""
    of = {r.name: r.scores for r in summary.records if r.scores}
    names = dict.fromkeys(k for found in of.values() for k in found)
    body = [[name, *(format_score(found.get(name)) for found in of.values())] for name in names]
    return [["", *of], *body] if body else []


def format_score(value: float | None) -> str:
    """Four digits, as leaderboards have them; ``-`` for what is not known."""
    if value is None:
        return "-"
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.6g}"  # noqa: PLR2004 -- no share of one: a perplexity


def heading(summary: Summary) -> list[str]:
    """Two lines about a run of a job."""
    gpus = " ".join(f"{k} {v}" for k, v in summary.gpus.items() if k != "total" and v)
    shape = " ".join(f"{k} {v}" for k in ("isl", "osl") if (v := summary.parameter(k)))
    ended = summary.text("class")
    how = "" if ended in ("success", "") else f"; the job: {ended} {summary.text('cause')}".rstrip()
    planned = summary.text("runs_planned")
    counted = "nothing to measure" if planned == "0" else f"{summary.text('runs_ok')} of {planned} runs"
    return [
        f"{summary.label}  {summary.text('model')} with {summary.text('engine')} behind {summary.text('frontend')}, "
        f"{summary.gpus.get('total', 0)} GPUs ({gpus})",
        f"{summary.text('benchmark')} {shape}".rstrip() + f", {summary.text('state')}: {counted}{how}",
    ]


def _render_summary(summary: Summary, width: int) -> str:
    heads, cells = rows(summary)
    tables = [
        part
        for table in ([heads, *cells], scores(summary))
        for part in _split_to_width(table, width - len(INDENT))
    ]
    below = [*(line for table in tables for line in align(table)), *notes(summary)]
    return "\n".join([*heading(summary), *(f"{INDENT}{line}" for line in below)])


def _split_to_width(table: list[list[str]], width: int) -> Iterable[list[list[str]]]:
    """A table as tables that fit, each with the first column; one that fits, or where nothing else is known, as it is."""
    if width <= 0 or not table:
        return [table]
    sizes = [max(map(_width, column)) for column in zip(*table, strict=True)]
    parts: list[list[int]] = [[0]]
    for n, size in enumerate(sizes[1:], start=1):
        taken = sum(sizes[k] + len(GAP) for k in parts[-1])
        if len(parts[-1]) > 1 and taken + size > width:
            parts.append([0])
        parts[-1].append(n)
    return [[[row[n] for n in part] for row in table] for part in parts]


def notes(summary: Summary) -> list[str]:
    """Further lines about a run of a job: steps that were started again, and traces."""
    found = []
    again = [_describe_restarts(step, codes) for step, codes in restarted_steps(summary.run_dir).items()]
    if again:
        more = (
            f", and {len(again) - MAX_RESTARTED_STEPS} more steps" if len(again) > MAX_RESTARTED_STEPS else ""
        )
        found.append(f"started again: {', '.join(again[:MAX_RESTARTED_STEPS])}{more}")
    profiles = [as_text(p) for p in items(summary.values.get("profiles"))]
    if profiles:
        found.append(f"{len(profiles)} traces: {profiles[0]}{', ...' if profiles[1:] else ''}")
    return found


def _describe_restarts(step: str, codes: Sequence[int | None]) -> str:
    """``decode_0 2 times (exit 1, 137)``."""
    times = "once" if len(codes) == 1 else f"{len(codes)} times"
    return f"{step} {times} (exit {', '.join(str(c) for c in dict.fromkeys(codes) if c is not None) or 'unknown'})"


def align(table: Sequence[Sequence[str]]) -> list[str]:
    """Lines with columns as wide as they must be, right-aligned but for one without a head, which holds words."""
    if not table or not table[0]:
        return []
    widths = [max(map(_width, column)) for column in zip(*table, strict=True)]
    words = [not head for head in table[0]]
    return [
        GAP.join(_padded(c, w, left=left) for c, w, left in zip(row, widths, words, strict=True)).rstrip()
        for row in table
    ]


def _padded(cell: str, width: int, *, left: bool) -> str:
    room = " " * (width - _width(cell))
    return cell + room if left else room + cell


def _width(text: str) -> int:
    """Columns of a terminal that a text takes: two for a wide character, none for what stands on the one before."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _columns(summary: Summary) -> list[Column]:
    first: Column = ("run", lambda r: r.name)
    if all(
        r.number("concurrency") is not None and r.name.startswith("concurrency_") for r in summary.records
    ):
        first = ("conc", lambda r: format_figure(r.number("concurrency")))
    return [
        first,
        ("requests", lambda r: format_figure(r.number("completed"))),
        ("failed", lambda r: format_figure(r.number("failed") or None)),
        ("req/s", lambda r: format_figure(r.number("requests_per_s"))),
        ("good req/s", lambda r: format_figure(r.number("good_requests_per_s"))),
        ("out tok/s", lambda r: format_figure(r.number("output_tokens_per_s"))),
        ("tok/s/GPU", lambda r: format_figure(r.number("output_tokens_per_s_per_gpu"))),
        ("tok/s/user", lambda r: format_figure(r.number("tokens_per_s_per_user"))),
        ("TTFT p50 ms", lambda r: format_figure(r.number("ttft_ms_p50"))),
        ("TTFT p99 ms", lambda r: format_figure(r.number("ttft_ms_p99"))),
        ("TPOT p50 ms", lambda r: format_figure(r.number("tpot_ms_p50"))),
        ("TPOT p99 ms", lambda r: format_figure(r.number("tpot_ms_p99"))),
        ("E2E p99 ms", lambda r: format_figure(r.number("e2e_ms_p99"))),
        ("score", lambda r: format_score(r.number("score"))),
        ("", _remark),
    ]


def _remark(record: Record) -> str:
    tries = record.number("tries") or 1
    again = f"after {tries:.0f} tries" if tries > 1 else ""
    reason = "" if record.is_ok else f"{record.text('status')} {record.text('reason')}".strip()
    return ", ".join(filter(None, (reason, again)))
