"""docs/reference/failures.md: the table of all trials, compared with what came of them, or rewritten.

`just failures` runs the tests with SRTPLAN_FAILURES=rewrite: each trial then puts its row in place. Otherwise a row must say
what happened; only its seconds may differ. A test declares its rows: by a parameter that is a ``verdict.Case``, or by the marker
``row(stage, fault)``; one that declares a row and does not compare it fails, and so does the page if it has a row that no test declares.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from attrs import frozen

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "failures.md"
Key = tuple[int, str, str]
START, END = "<!-- table: start -->\n", "<!-- table: end -->\n"
HEAD = "| stage | fault | where | code | class | cause in the log | s |\n|---|---|---|---|---|---|---|\n"
STAGES = (
    "preflight", "infra start", "worker start", "ports", "frontend start", "health", "benchmark", "serving", "stopping",
)  # fmt: skip


@frozen(order=True)
class Row:
    """One trial."""

    stage: str
    fault: str
    where: str
    code: str
    group: str
    cause: str
    seconds: str

    @property
    def key(self) -> Key:
        """What makes it this trial; the order of the table."""
        return STAGES.index(self.stage), self.fault, self.where

    def __str__(self) -> str:
        cells = (self.stage, self.fault, self.where, self.code, self.group, self.cause, self.seconds)
        return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |\n"


def rows(text: str) -> dict[Key, Row]:
    """The rows of the page, by their key."""
    lines = text.partition(START)[2].partition(END)[0].splitlines()[2:]
    made = [Row(*(cell.strip() for cell in line.strip("|").split("|"))) for line in lines]
    return {row.key: row for row in made}


COMPARED: set[Key] = set()
"""The rows that the present test has held against the page."""


def declared(item: pytest.Item) -> set[Key]:
    """The rows that a test declares."""
    where = "Slurm" if item.get_closest_marker("cluster") else "rehearsal"
    named = [mark.args for mark in item.iter_markers("row")]
    params = (
        item.callspec.params.values()
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
        else ()
    )
    named += [
        (case.stage, case.fault) for case in params if hasattr(case, "stage") and hasattr(case, "fault")
    ]
    return {(STAGES.index(stage), fault, where) for stage, fault in named}


def is_rewritten() -> bool:
    """Whether the page is being made, not compared."""
    return os.environ.get("SRTPLAN_FAILURES") == "rewrite"


def compare(row: Row) -> None:
    """Hold a row against the page, or write it there."""
    COMPARED.add(row.key)
    if is_rewritten():
        _put(row)
        return
    known = rows(PAGE.read_text()).get(row.key)
    assert known is not None, f"docs/reference/failures.md has no row for {row.key}: run `just failures`"
    assert (known.code, known.group, _told(known)) == (row.code, row.group, _told(row)), (
        f"docs/reference/failures.md says otherwise: run `just failures`\n{known}{row}"
    )


def prune(keys: Iterable[Key]) -> None:
    """Keep only these rows on the page."""
    wanted = set(keys)
    _change(lambda known: {key: row for key, row in known.items() if key in wanted})


def _told(row: Row) -> str:
    """The cause, whatever this Python's process is called where it holds a port."""
    return re.sub(r"in use by \S+ \(pid", "in use by PROGRAM (pid", row.cause.replace("|", "/"))


def _put(row: Row) -> None:
    _change(lambda known: known | {row.key: row})


def _change(change: Callable[[dict[Key, Row]], dict[Key, Row]]) -> None:
    with PAGE.open("r+") as page:
        fcntl.flock(page, fcntl.LOCK_EX)
        text = page.read()
        known = change(rows(text))
        before, after = text.partition(START)[0], text.partition(END)[2]
        body = "".join(str(known[key]) for key in sorted(known))
        page.seek(0)
        page.truncate()
        page.write(f"{before}{START}{HEAD}{body}{END}{after}")
