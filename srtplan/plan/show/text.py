"""The Plan as one page of text for people, which also reads well as a diff (``plan.txt`` of a bundle)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from srtplan.ir.plan import Action, Gate, Plan, Probe, Step
from srtplan.ir.shell import notation
from srtplan.ir.topology import Endpoint

_GAP = 2
_STOP = 8


def render(plan: Plan) -> str:
    """The text of ``plan.txt``."""
    sections = [
        _header(plan),
        table("NODES", ("node", "gpus", "steps"), _nodes(plan)),
        table("ENDPOINTS", ("endpoint", "nodes", "gpus", "ports of rank 0"), _endpoints(plan)),
        table("STEPS, in start order", ("step", "stage", "node", "tasks", "tier", "command"), _steps(plan)),
        table("SEQUENCE", ("action", "steps or timeout"), _sequence(plan)),
        table("PROBES", ("gate", "step", "probe", "expects"), [_probe(p) for p in plan.probes]),
        table("MOUNTS", ("source", "target", "origin"), _mounts(plan)),
        table("PREFLIGHT", ("required by", "nodes", "check"), _preflight(plan)),
        table("SBATCH", ("directive",), [(d,) for d in plan.sbatch]),
    ]
    return "\n\n".join("\n".join(s) for s in sections if s) + "\n"


def spans(numbers: Iterable[int]) -> str:
    """Numbers as ranges: ``0-3,6``."""
    out: list[tuple[int, int]] = []
    for n in sorted(numbers):
        if out and out[-1][1] == n - 1:
            out[-1] = (out[-1][0], n)
        else:
            out.append((n, n))
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in out)


def _header(plan: Plan) -> list[str]:
    n = plan.nodes
    variant = f"  variant {plan.recipe.variant}" if plan.recipe.variant else ""
    rows = [
        ("job", plan.name),
        ("recipe", plan.recipe.path + variant),
        (
            "serves",
            f"{plan.served_model_name} with {plan.engine}, {plan.frontend} frontend, at {notation(plan.url)}",
        ),
        (
            "nodes",
            f"{n.total}: workers {spans(n.workers)}, infra {n.infra}, head {n.head}, client {n.bench}"
            + _parts(plan),
        ),
        ("ready", _ready(plan)),
        ("benchmark", _benchmark(plan)),
    ]
    return [f"{k:10} {v}" for k, v in rows]


def _ready(plan: Plan) -> str:
    """What the health gate waits for: instance counts if a probe counts them, else the probed steps."""
    gate = next((g for g in plan.gates if g.name == "health"), None)
    asked = [p for p in plan.probes if gate and p.gate == gate.name]
    expected = next((dict(p.expect) for p in asked if p.expect), None)
    wanted = (
        f"{expected['prefill']} prefill, {expected['decode']} decode instances"
        if expected
        else ", ".join(p.step for p in asked)
    )
    return f"{wanted} within {gate.timeout_s} s" if gate else "-"


def _parts(plan: Plan) -> str:
    sizes = plan.nodes.components
    return f", in components of {' and '.join(map(str, sizes))}" if sizes else ""


def _benchmark(plan: Plan) -> str:
    keep = ("client", "isl", "osl", "concurrencies", "request_rate")
    shown = " ".join(f"{k}={v}" for k, v in plan.benchmark.parameters if k in keep and v)
    return f"{plan.benchmark.type} {shown}".rstrip()


def _nodes(plan: Plan) -> list[tuple[str, ...]]:
    owner = {(n, g): e for e in plan.endpoints for n in e.nodes for g in e.gpus}
    runs: dict[int, list[str]] = {}
    for step in plan.steps:
        for n in step.nodes:
            runs.setdefault(n, []).append(step.name)
    width = max((len(e.gpus) and max(e.gpus) + 1 for e in plan.endpoints), default=0)
    per_node = next(
        (int(d.partition("=")[2]) for d in plan.sbatch if d.startswith("--gpus-per-node=")), width
    )
    return [
        (str(n), " ".join(_short(owner.get((n, g))) for g in range(per_node)), " ".join(runs.get(n, ["-"])))
        for n in range(plan.nodes.total)
    ]


def _short(endpoint: Endpoint | None) -> str:
    return f"{endpoint.mode[0]}{endpoint.index}" if endpoint else "."


def _endpoints(plan: Plan) -> list[tuple[str, ...]]:
    leaders = {(p.mode, p.endpoint): p for p in plan.processes if p.leader}
    return [
        (
            e.name,
            spans(e.nodes),
            spans(e.gpus),
            " ".join(f"{k}={v}" for k, v in leaders[e.mode, e.index].ports),
        )
        for e in plan.endpoints
    ]


def _steps(plan: Plan) -> list[tuple[str, ...]]:
    return [(s.name, s.stage, spans(s.nodes), str(s.ntasks), str(s.tier), _command(s)) for s in plan.steps]


def _command(step: Step) -> str:
    if step.runs:
        runs = "1 run" if len(step.runs) == 1 else f"{len(step.runs)} runs"
        return f"{runs}: " + " ".join(r.name for r in step.runs)
    return " ".join(notation(w) for w in step.argv[:3])


def _sequence(plan: Plan) -> list[tuple[str, ...]]:
    gates = {g.name: g for g in plan.gates}
    rows: list[tuple[str, ...]] = [
        (f"{a.verb} {a.subject}".rstrip(), _detail(a, gates)) for a in plan.sequence
    ]
    serving = gates.get("serving")
    if serving:
        rows.append(("while serving", _timing(serving)))
    return rows


def _detail(action: Action, gates: Mapping[str, Gate]) -> str:
    if action.verb == "await_ready" and (gate := gates.get(action.subject)):
        return _timing(gate)
    return " ".join(action.steps)


def _timing(gate: Gate) -> str:
    return f"probe every {gate.interval_s} s, timeout {gate.timeout_s} s"


def _probe(p: Probe) -> tuple[str, ...]:
    by_type = {"tcp": "accepts connections", "nats": "server of this job", "etcd": "server of this job"}
    expects = " ".join(f"{k}={v}" for k, v in p.expect) or by_type.get(p.type, "status 200")
    return (p.gate, p.step, f"{p.type} node {p.node} port {p.port} {p.path}".rstrip(), expects)


def _mounts(plan: Plan) -> list[tuple[str, ...]]:
    seen = {(notation(m.source), notation(m.target) + (f":{m.flags}" if m.flags else ""), m.origin): None
            for s in plan.steps for m in s.mounts}  # fmt: skip
    return list(seen)


def _preflight(plan: Plan) -> list[tuple[str, ...]]:
    grouped: dict[tuple[str, tuple[int, ...], str], list[str]] = {}
    for c in plan.preflight:
        grouped.setdefault((c.kind, c.nodes, c.why), []).append(c.subject)
    return [
        (why, spans(nodes), f"{kind} {' '.join(subjects)}")
        for (kind, nodes, why), subjects in grouped.items()
    ]


def table(title: str, head: Sequence[str], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """A titled table with one line per row; empty if there are no rows.

    Columns begin at multiples of 8, so that a slightly longer cell seldom moves the others in a diff.
    """
    if not rows:
        return []
    widths = [max(len(r[i]) for r in (*rows, tuple(head))) for i in range(len(head))]
    widths = [(w + _GAP + _STOP - 1) // _STOP * _STOP - _GAP for w in widths]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(r, widths, strict=True)).rstrip()
        for r in (tuple(head), *rows)
    ]
    return [title, *("  " + line for line in lines)]
