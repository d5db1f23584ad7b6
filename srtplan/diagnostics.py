"""Problems in a user's input, and their text form.

In: findings (a rule, a path into the document, a message). Out: lines that an editor can jump to::

    recipe.yaml:12:17: error[SP203]: decode needs 32 GPUs but has 16
       12 |   decode_workers: 4
          |                   ^
          = help: use 2 decode workers, or 2 more nodes

Stages that know no positions report a ``Finding``. ``config`` turns it into a ``Problem`` with the position of the value
at its path.
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
    """A problem at a path of the document. ``on_key`` points at the key instead of its value."""

    rule: str
    message: str
    path: Path = ()
    help: str = ""
    severity: Severity = "error"
    on_key: bool = False


def count_of(count: int, noun: str) -> str:
    """Return a number with its noun: ``1 job``, ``2 jobs``."""
    return f"{count} {noun}{'s' if count != 1 else ''}"


NO_EFFECT = "SP115"


def no_effect(path: Path, why: str, *, help: str = "", name: str = "") -> Finding:  # noqa: A002 -- the field's name
    """Return the warning, at its key, for a field that changes nothing in this job. ``help`` defaults to removing it."""
    message = f"'{name or path[-1]}' has no effect: {why}"
    return Finding(
        rule=NO_EFFECT, path=path, on_key=True, severity="warning", message=message, help=help or "remove it"
    )


@frozen(kw_only=True)
class Problem:
    """A problem at a position. ``line`` and ``column`` count from 1; 0 is the file as a whole."""

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
        """Return the problem as text, without colours and without a final newline."""
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
        """The problems that prevent a bundle."""
        return tuple(p for p in self.problems if p.severity == "error")

    def __add__(self, other: Report) -> Report:
        return Report(self.problems + other.problems)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self.problems)

    def render(self) -> str:
        """Return every problem as text, separated by blank lines."""
        return "\n\n".join(p.render() for p in self.problems)


class InputError(Exception):
    """The input has errors; ``report`` holds all of them. The CLI prints them and exits with 1."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.render())
        self.report = report


class InternalError(Exception):
    """A bug of srtplan, such as a Plan that breaks an invariant. The CLI reports it and exits with 70."""

    def __init__(self, violations: Iterable[str]) -> None:
        self.violations = tuple(violations)
        super().__init__("\n".join(self.violations))


class PlanError(Exception):
    """The recipe cannot be planned; ``findings`` are the reasons and any warnings."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("; ".join(f.message for f in self.findings))
