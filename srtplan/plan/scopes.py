"""The environment of a job by scope, for people: what all steps of a kind share stands once, the rest with its step.

In: a Plan. Out: lines of a table::

    scope            variable              value
    decode workers   HEAD_NODE_IP          ${IP[0]}
    decode_1         CUDA_VISIBLE_DEVICES  4,5,6,7
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from srtplan.ir.plan import Plan, Step
from srtplan.ir.shell import notation
from srtplan.plan.text import table

FROM_OUTSIDE = "(set by who submits, or in the file of SRTPLAN_SECRETS)"
AT_LAUNCH = " (in srun's own environment)"
Row = tuple[str, str, str]


def environment(plan: Plan) -> list[str]:
    """The table, titled."""
    groups: dict[str, list[Step]] = {}
    for step in plan.steps:
        groups.setdefault(_scope(step), []).append(step)
    rows = [row for scope, steps in groups.items() for row in _rows(scope, steps)]
    return table("ENVIRONMENT, by scope", ("scope", "variable", "value"), rows)


def _scope(step: Step) -> str:
    """The steps that are alike: workers of a mode, frontends; anything else by its own name."""
    if step.mode is not None:
        return f"{step.mode} workers"
    return "frontends" if step.kind == "frontend" else step.name


def _rows(scope: str, steps: Sequence[Step]) -> Iterator[Row]:
    variables = [_variables(step) for step in steps]
    shared = {k: v for k, v in variables[0].items() if all(other.get(k) == v for other in variables)}
    name = scope if len(steps) > 1 else steps[0].name
    yield from ((name, key, value) for key, value in shared.items())
    for step, own in zip(steps, variables, strict=True):
        yield from ((step.name, key, value) for key, value in own.items() if key not in shared)


def _variables(step: Step) -> dict[str, str]:
    own = {e.name: _one_line(notation(e.value)) + (AT_LAUNCH if e.launch else "") for e in step.env}
    return own | dict.fromkeys(step.env_from, FROM_OUTSIDE)


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
