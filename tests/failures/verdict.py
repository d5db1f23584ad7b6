"""What must come of a trial, and the judge: code, class, cause, time, leftovers, and the row of the page."""

from __future__ import annotations

import re

import table
from attrs import frozen
from busy import noise_s
from trials import Outcome, readable

DECIDE_S = 2.0
"""From the end of a critical step to the decision, on an idle machine."""


@frozen
class Case:
    """One trial of the matrix: what breaks it, and what must come of it (``cause`` is a pattern)."""

    stage: str
    fault: str
    code: int
    group: str
    cause: str
    faults: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def id(self) -> str:
        """Its name in pytest."""
        return f"{self.stage}-{self.fault}".replace(" ", "_")


def judge(outcome: Outcome, case: Case, within: float, *, left: tuple[str, ...] | None = None) -> None:
    """Code, class, cause, time, leftovers (``left``: as they were looked for later); then the row of the page."""
    assert (outcome.code, outcome.group) == (case.code, case.group), outcome.log
    assert re.fullmatch(case.cause, outcome.cause), f"{outcome.cause!r}\n{outcome.log}"
    assert (outcome.left if left is None else left) == (), outcome.log
    assert outcome.ended_s < within + 2.0 + noise_s(outcome.ended_s), f"{outcome.ended_s} s\n{outcome.log}"
    if case.group not in {"success", ""}:
        first = re.search(r"^\S+ ERROR (.*)$", outcome.log, re.MULTILINE)
        assert first is not None
        assert first[1] == f"{case.group}: {outcome.cause}", "the first error in the log must be the cause"
    table.compare(
        table.Row(
            case.stage,
            case.fault,
            "rehearsal",
            str(outcome.code),
            outcome.group or "-",
            readable(outcome.cause) or "-",
            f"{outcome.ended_s:.1f}",
        )
    )
