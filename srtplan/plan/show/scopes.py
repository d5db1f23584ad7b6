"""The environment of a job by scope: variables shared by all steps of a kind are listed once, the others per step.

In: a Plan. Out: lines of a table::

    scope            variable              value
    decode workers   HEAD_NODE_IP          ${IP[0]}
    decode_1         CUDA_VISIBLE_DEVICES  4,5,6,7
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from srtplan.ir.plan import Plan, Step
from srtplan.ir.shell import notation
from srtplan.plan.launch.nginx import STEP as NGINX
from srtplan.plan.show.text import table

KEPT = "PATH HOME USER LOGNAME SHELL LANG LC_* TZ TMPDIR SLURM* SRT*"
"""Variables that reach every step even if ``--export`` excludes the others; see ``templates/lib/environ.sh``."""
AT_LAUNCH = " (in srun's own environment)"
Row = tuple[str, str, str]


def environment(plan: Plan) -> list[str]:
    """The lines of the table, with a title."""
    groups: dict[str, list[Step]] = {}
    for step in plan.steps:
        groups.setdefault(_scope(step), []).append(step)
    rows = [row for scope, steps in groups.items() for row in _rows(scope, steps, _source(plan))]
    rows = [*_everywhere(plan), *rows]
    return table("ENVIRONMENT, by scope", ("scope", "variable", "value"), rows)


def _everywhere(plan: Plan) -> list[Row]:
    """Variables that every step inherits; empty if it inherits all of the submitter's."""
    if "ALL" in plan.export:
        return []
    named = [name for name in plan.export if name not in ("NONE", "NIL")]
    return [("every step", " ".join((KEPT, *named)), "(inherited; --export excludes all other variables)")]


def _source(plan: Plan) -> str:
    """Where a secret comes from: with a restrictive ``--export`` only from the secrets file."""
    return (
        f"(from the submitter's environment or {plan.secrets_file})"
        if "ALL" in plan.export
        else f"(from {plan.secrets_file})"
    )


def _scope(step: Step) -> str:
    """The group of a step: workers of a mode, or frontends; any other step is its own group."""
    if step.mode is not None:
        return f"{step.mode} workers"
    return "frontends" if step.stage == "frontend" and step.name != NGINX else step.name


def _rows(scope: str, steps: Sequence[Step], source: str) -> Iterator[Row]:
    variables = [_variables(step, source) for step in steps]
    shared = {k: v for k, v in variables[0].items() if all(other.get(k) == v for other in variables)}
    name = scope if len(steps) > 1 else steps[0].name
    yield from ((name, key, value) for key, value in shared.items())
    for step, own in zip(steps, variables, strict=True):
        yield from ((step.name, key, value) for key, value in own.items() if key not in shared)


def _variables(step: Step, source: str) -> dict[str, str]:
    own = {e.name: _one_line(notation(e.value)) + (AT_LAUNCH if e.launch else "") for e in step.env}
    return own | dict.fromkeys(step.env_from, source)


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
