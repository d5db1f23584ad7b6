"""Problems in a user's input, and how they are shown.

In: findings (a rule, a path into the document, a message). Out: lines that an editor can jump to::

    recipe.yaml:12:17: error[SP203]: decode needs 32 GPUs but has 16
       12 |   decode_workers: 4
          |                   ^
          = help: use 2 decode workers, or 2 more nodes

A stage that has no positions reports a ``Finding``; ``config`` turns it into a ``Problem`` with the position of the
value that stands at its path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from attrs import field, frozen

Path = tuple[str | int, ...]
"""Keys and list indices from the top of a recipe to a value: ``("resources", "decode_nodes")``."""

Severity = Literal["error", "warning"]


@frozen(kw_only=True)
class Finding:
    """A fault at a path of the document; ``on_key`` points at the key instead of its value."""

    rule: str
    message: str
    path: Path = ()
    help: str = ""
    severity: Severity = "error"
    on_key: bool = False


NO_EFFECT = "SP115"


def no_effect(path: Path, why: str, *, help: str = "", name: str = "") -> Finding:  # noqa: A002 -- the field's name
    """A field that was set and changes nothing in this job: a warning, at its key."""
    message = f"'{name or path[-1]}' has no effect: {why}"
    return Finding(rule=NO_EFFECT, path=path, on_key=True, severity="warning", message=message, help=help)


@frozen(kw_only=True)
class Problem:
    """A fault at a position. ``line`` and ``column`` count from 1; 0 means the file as a whole."""

    file: str
    line: int
    column: int
    severity: Severity
    rule: str
    message: str
    help: str = ""
    source: str = ""
    width: int = 1

    def render(self) -> str:
        """The problem as text, without a final newline; colours are the CLI's business."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        lines = [f"{place}: {self.severity}[{self.rule}]: {self.message}"]
        if self.source:
            gutter = f"{self.line:5d} | "
            pad = "".join(c if c == "\t" else " " for c in self.source[: self.column - 1])
            lines += [gutter + self.source, " " * 5 + " | " + pad + "^" * max(1, self.width)]
        if self.help:
            lines.append(f"      = help: {self.help}")
        return "\n".join(lines)


def _order(p: Problem) -> tuple[str, int, int, str, str]:
    return (p.file, p.line, p.column, p.rule, p.message)


def _sorted(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(set(problems), key=_order))


@frozen
class Report:
    """All problems of one input, in source order."""

    problems: tuple[Problem, ...] = field(default=(), converter=_sorted)

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Those that prevent a bundle."""
        return tuple(p for p in self.problems if p.severity == "error")

    def __add__(self, other: Report) -> Report:
        return Report(self.problems + other.problems)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self.problems)

    def render(self) -> str:
        """Every problem, a blank line between two."""
        return "\n\n".join(p.render() for p in self.problems)


class InputError(Exception):
    """The input has errors; carries all of them. The CLI prints them and exits 1."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.render())
        self.report = report


class InternalError(Exception):
    """srtplan itself is wrong (a Plan that breaks an invariant). The CLI says so and exits 70."""

    def __init__(self, violations: Iterable[str]) -> None:
        self.violations = tuple(violations)
        super().__init__("\n".join(self.violations))


class PlanError(Exception):
    """The recipe cannot be planned; ``findings`` say why, warnings among them."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("; ".join(f.message for f in self.findings))
