"""Render ``job.sh``: directives, data and stages. STEPS, GATES and PROBES are tables with aligned columns."""

from __future__ import annotations

from collections.abc import Sequence

from srtplan.bundle import quote
from srtplan.bundle.quote import Quoted
from srtplan.bundle.templates import fill
from srtplan.ir.plan import Action, Gate, Plan, Probe, Step
from srtplan.ir.shell import Lit

_SECRETS_COLUMN = "secrets"
_STEP_COLUMNS = ("name", "stage", "tier", "signal", "role", "nodes")
_GATE_COLUMNS = ("name", "interval_s", "timeout_s")
_PROBE_COLUMNS = ("gate", "step", "type", "node", "port", "prefill,decode", "path")


def render_job(plan: Plan) -> str:
    """The sbatch script of a plan."""
    steps_head, steps = _steps_table(plan)
    probes_head, probes = _table(_PROBE_COLUMNS, [_probe_row(p) for p in plan.probes])
    gates_head, gates = _table(_GATE_COLUMNS, [_gate_row(g) for g in plan.gates])
    secrets = dict.fromkeys(n for s in plan.steps for n in s.env_from)
    return fill(
        "job.sh.j2",
        sbatch=[quote.sbatch(d) for d in plan.sbatch],
        header=quote.comment(_header(plan)),
        job_name=_text(plan.name),
        model_name=_text(plan.served_model_name),
        components=Quoted(
            " ".join(quote.number(n).text for n in plan.nodes.components or (plan.nodes.total,))
        ),
        network_interface=_text(plan.network_interface or ""),
        output_base=_text(plan.output_base or ""),
        time_limit_s=quote.number(plan.time_limit_s),
        warning_s=quote.number(plan.warning_s),
        stop_timeout_s=quote.number(plan.stop_timeout_s),
        export=_text(",".join(plan.export)),
        secrets_file=quote.home_path(plan.secrets_file) if secrets else None,
        secrets=Quoted(" ".join(quote.env_name(n).text for n in secrets)),
        run_time_files=Quoted(" ".join(_text(f.path).text for f in plan.files if f.run_time)),
        report_to=Quoted(" ".join(_text(url).text for url in plan.reports)),
        steps_head=steps_head,
        steps=steps,
        restarts=[_restart_row(s) for s in plan.steps if s.restart],
        probes_head=probes_head,
        probes=probes,
        url=quote.bash_word(plan.url),
        gates_head=gates_head,
        gates=gates,
        sequence=[_action(a) for a in plan.sequence],
    )


def _header(plan: Plan) -> str:
    variant = f", variant {plan.recipe.variant}" if plan.recipe.variant else ""
    return (
        f"Serves {plan.served_model_name} with engine {plan.engine} and frontend {plan.frontend}.\n"
        f"Compiled by srtplan from {plan.recipe.path}{variant}; change the recipe, not this file."
    )


def _text(text: str) -> Quoted:
    return quote.bash_word(Lit(text))


_CALLS = {
    "start": "steps::start",
    "await_ready": "probes::await",
    "await_end": "steps::await_end",
    "await_terminal": "job::await_terminal",
    "serve": "job::serve",
}
"""The library function of each action."""


def _action(action: Action) -> Quoted:
    words = (action.subject, *action.steps) if action.subject else ()
    return Quoted(" ".join([_CALLS[action.verb], *(quote.step_name(w).text for w in words)]))


def _gate_row(gate: Gate) -> tuple[str, ...]:
    return (quote.step_name(gate.name).text, str(gate.interval_s), str(gate.timeout_s))


def _steps_table(plan: Plan) -> tuple[Quoted, list[Quoted]]:
    """The table STEPS; secrets are an additional last column if any step uses some."""
    columns: tuple[str, ...] = _STEP_COLUMNS
    rows = [_step_row(s) for s in plan.steps]
    if any(s.env_from for s in plan.steps):
        columns = (*columns, _SECRETS_COLUMN)
        rows = [(*row, ",".join(s.env_from)) for row, s in zip(rows, plan.steps, strict=True)]
    return _table(columns, rows)


def _step_row(step: Step) -> tuple[str, ...]:
    role = "terminal" if step.terminal else "critical" if step.critical else "optional"
    if step.stage == "prepare":
        role = "setup" if step.critical else "attempt"
    nodes = ",".join(str(n) for n in step.nodes)
    name = quote.step_name(step.name).text
    return (name, step.stage, str(step.tier), step.stop_signal, role, nodes)


def _restart_row(step: Step) -> Quoted:
    """A row of RESTARTS: the step, its worker, and the restart policy."""
    r = step.restart
    assert r is not None  # noqa: S101 -- the caller selects steps with a policy
    unit = f"{step.mode}_{step.endpoint}"
    numbers = (str(n) for n in (r.max_restarts, r.backoff_s, r.max_backoff_s))
    return quote.row(" ".join((quote.step_name(step.name).text, unit, r.policy, *numbers)))


def _probe_row(probe: Probe) -> tuple[str, ...]:
    expect = dict(probe.expect)
    wanted = f"{expect.get('prefill', 0)},{expect.get('decode', 0)}"
    return (probe.gate, probe.step, probe.type, str(probe.node), str(probe.port), wanted, probe.path or "/")


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[Quoted, list[Quoted]]:
    """A header as a comment, and rows as single-quoted words, with aligned columns."""
    widths = [max(len(r[i]) for r in [columns, *rows]) for i in range(len(columns))]
    widths[0] = max(widths[0], len(columns[0]) + 1)  # the header begins with "# ", rows with a quote
    head = [
        columns[0].ljust(widths[0] - 1),
        *(c.ljust(w) for c, w in zip(columns[1:], widths[1:], strict=True)),
    ]
    lines = ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows]
    return quote.comment("  ".join(head)), [quote.row(line) for line in lines]
