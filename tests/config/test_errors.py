"""Golden errors: the comments of each file in ``golden/errors`` are the expected problems of their lines.

    agg_nods: 2 # SP110: unknown key 'agg_nods'

A comment ``# file SP107: ...`` expects a problem of the file as a whole. Files named ``profile-*`` are cluster profiles
for a valid recipe.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from srtplan import pipeline
from srtplan.diagnostics import InputError, Problem, Report

ROOT = Path(__file__).parents[2]
ERRORS = ROOT / "golden" / "errors"
CASES = sorted(p.stem for p in ERRORS.glob("*.yaml"))
EXPECTED = re.compile(r"# (file )?(SP\d{3}): ([^#]*)")
GOOD = """
name: good
model: {path: /models/m, container: /images/i.sqsh, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 8, agg_nodes: 1, agg_workers: 1}
backend: {type: mocker}
"""


def expected(text: str) -> list[tuple[int, str, str]]:
    """Return line (0 for the file), rule and a part of the message of each expected problem, in the order of the file."""
    return [
        (0 if whole else number, rule, part.strip())
        for number, line in enumerate(text.splitlines(), 1)
        for whole, rule, part in EXPECTED.findall(line)
    ]


def reported(case: str, tmp_path: Path) -> list[Problem]:
    """Return all problems of a case, including warnings, up to the plan."""
    argument, cluster = f"{case}.yaml", None
    if case.startswith("profile-"):
        (tmp_path / "good.yaml").write_text(GOOD)
        argument, cluster = str(tmp_path / "good.yaml"), Path(f"{case}.yaml")
    try:
        jobs = pipeline.jobs(argument, cluster=cluster, cwd=ERRORS, environ={})
        return list(Report(tuple(p for planned in pipeline.plan(jobs) for p in planned.report)))
    except InputError as error:
        return list(error.report)


@pytest.mark.parametrize("case", CASES)
def test_a_case_reports_exactly_the_problems_of_its_comments(case: str, tmp_path: Path) -> None:
    """Every problem has the rule and line of a comment, and its message contains the text of the comment."""
    wanted = expected((ERRORS / f"{case}.yaml").read_text())
    problems = reported(case, tmp_path)
    shown = "\n\n".join(p.render() for p in problems)
    assert sorted((line, rule) for line, rule, _ in wanted) == sorted((p.line, p.rule) for p in problems), (
        shown
    )
    for line, rule, part in wanted:
        assert any(part in p.message for p in problems if (p.line, p.rule) == (line, rule)), (part, shown)


@pytest.mark.parametrize("case", CASES)
def test_a_problem_points_into_its_line(case: str, tmp_path: Path) -> None:
    """Line and column are inside the text, and the source line is shown."""
    lines = (ERRORS / f"{case}.yaml").read_text().split("\n")
    for p in reported(case, tmp_path):
        assert p.file == f"{case}.yaml"
        if p.line:
            assert p.source == lines[p.line - 1]
            assert 1 <= p.column <= len(p.source) + 1


def test_every_case_expects_a_problem() -> None:
    """A case without a comment would test nothing."""
    assert CASES
    assert [c for c in CASES if not expected((ERRORS / f"{c}.yaml").read_text())] == []
