"""Results as text: one table per run of a job.

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
    """All tables, separated by empty lines. A table wider than ``width`` columns is split; 0 means no limit."""
    return "\n\n".join(_render_summary(s, width) for s in summaries) + "\n"


def format_figure(value: float | None) -> str:
    """Three significant digits, no decimals from 100 up; ``-`` for None."""
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 -- decimals no longer matter


def one_line(text: str, longest: int) -> str:
    """A text with spaces for line breaks and non-printable characters, shortened in the middle to ``longest``."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    if len(shown) <= longest:
        return shown
    half = (longest - 3) // 2
    return f"{shown[:half]}...{shown[-half:]}"


def rows(summary: Summary) -> tuple[list[str], list[list[str]]]:
    """Column heads and cells of a summary, without empty columns; both empty if nothing was measured."""
    if not summary.records:
        return [], []
    columns = _columns(summary)
    cells = [[cell(r) for _, cell in columns] for r in summary.records]
    used = [n for n in range(len(columns)) if n == 0 or any(row[n] not in ("-", "") for row in cells)]
    return [columns[n][0] for n in used], [[row[n] for n in used] for row in cells]


def scores(summary: Summary) -> list[list[str]]:
    """A table of evaluation scores with one row per score and one column per run; empty without scores."""
    of = {r.name: r.scores for r in summary.records if r.scores}
    names = dict.fromkeys(k for found in of.values() for k in found)
    body = [[name, *(format_score(found.get(name)) for found in of.values())] for name in names]
    return [["", *of], *body] if body else []


def format_score(value: float | None) -> str:
    """Four decimals, as on leaderboards; ``-`` for None."""
    if value is None:
        return "-"
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.6g}"  # noqa: PLR2004 -- larger scores are perplexities


def heading(summary: Summary) -> list[str]:
    """Two lines that introduce a run of a job: what served the model, and how the benchmark ended."""
    gpus = " ".join(f"{k} {v}" for k, v in summary.gpus.items() if k != "total" and v)
    shape = " ".join(f"{k} {v}" for k in ("isl", "osl") if (v := summary.parameter(k)))
    ended = summary.text("class")
    how = _outcome(ended, summary.text("cause"))
    planned = summary.text("runs_planned")
    measured = (
        ": no benchmark"
        if planned == "0"
        else f", {summary.text('state')}: {summary.text('runs_ok')} of {count(planned, 'run')}"
    )
    return [
        f"{summary.label}  {summary.text('model')} with {summary.text('engine')} behind {summary.text('frontend')}, "
        f"{count(summary.gpus.get('total', 0), 'GPU')} ({gpus})",
        f"{summary.text('benchmark')} {shape}".rstrip() + measured + how,
    ]


def count(number: int | str, noun: str) -> str:
    """``1 run``, ``2 runs``."""
    return f"{number} {noun}" if str(number) == "1" else f"{number} {noun}s"


def _outcome(exit_class: str, cause: str) -> str:
    """How the job ended, for the end of a line; empty after success."""
    if exit_class in ("success", ""):
        return ""
    if exit_class == "running":
        return "; job has not ended"
    return f"; job ended with {exit_class}" + (f": {cause}" if cause else "")


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
    """Split a table into tables that fit, each with the first column. A ``width`` of 0 or less means no limit."""
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
    """Additional lines about a run of a job: restarted steps and traces."""
    found = []
    restarts = [_describe_restarts(step, codes) for step, codes in restarted_steps(summary.run_dir).items()]
    if restarts:
        more = (
            f", and {count(len(restarts) - MAX_RESTARTED_STEPS, 'more step')}"
            if len(restarts) > MAX_RESTARTED_STEPS
            else ""
        )
        found.append(f"restarted: {', '.join(restarts[:MAX_RESTARTED_STEPS])}{more}")
    profiles = [as_text(p) for p in items(summary.values.get("profiles"))]
    if profiles:
        found.append(f"{count(len(profiles), 'trace')}: {profiles[0]}{', ...' if profiles[1:] else ''}")
    return found


def _describe_restarts(step: str, codes: Sequence[int | None]) -> str:
    """``decode_0 2 times (exit 1, 137)``."""
    times = "once" if len(codes) == 1 else f"{len(codes)} times"
    return f"{step} {times} (exit {', '.join(str(c) for c in dict.fromkeys(codes) if c is not None) or 'unknown'})"


def align(table: Sequence[Sequence[str]]) -> list[str]:
    """Lines of aligned columns. Columns are right-aligned; a column without a head holds words and is left-aligned."""
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
    """Terminal columns that a text takes: 2 for a wide character, 0 for a combining one."""
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
    retried = f"after {tries:.0f} tries" if tries > 1 else ""
    reason = "" if record.is_ok else ": ".join(filter(None, (record.text("status"), record.text("reason"))))
    return ", ".join(filter(None, (reason, retried)))
