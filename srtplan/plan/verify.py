"""Check the invariants of a Plan. A violation is a bug in srtplan, not an error in the recipe; no bundle is written."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from srtplan import plugin
from srtplan.ir.data import Map
from srtplan.ir.plan import STAGES, Plan, Step
from srtplan.ir.shell import Lit, Word, parts
from srtplan.plugin.readers import CLIENTS

ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
STEP_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")


def verify(plan: Plan) -> tuple[str, ...]:
    """Return the violated invariants as messages; empty if the Plan is sound."""
    return (
        *_steps(plan),
        *_clients(plan),
        *_ports(plan),
        *_gpus(plan),
        *_words(plan),
        *_probes(plan),
        *_sequence(plan),
        *_containers(plan),
        *_environment(plan),
        *_mounts(plan),
    )


def _steps(plan: Plan) -> Iterable[str]:
    for name, count in Counter(s.name for s in plan.steps).items():
        if count > 1:
            yield f"step {name} occurs {count} times"
        if not STEP_NAME.match(name):
            yield f"invalid step name {name!r}"
    order = [STAGES.index(s.stage) for s in plan.steps]
    if order != sorted(order):
        yield "steps are not ordered by stage"
    if sum(s.terminal for s in plan.steps) > 1:
        yield "more than one terminal step"
    for s in plan.steps:
        if bool(s.argv) == bool(s.runs):
            yield f"step {s.name} must have either argv or runs"
        if not s.nodes or s.ntasks < len(s.nodes):
            yield f"step {s.name} needs a task on every node: nodes {len(s.nodes)}, tasks {s.ntasks}"


def _clients(plan: Plan) -> Iterable[str]:
    """Every report has a reader: of the library, or a file that the plugin brings."""
    brought = {file.path for file in plan.files}
    for run in (run for step in plan.steps for run in step.runs):
        if run.client not in CLIENTS and f"readers/{run.client}.awk" not in brought:
            yield f"run {run.name} has reports of {run.client!r}, which nothing reads"


def _ports(plan: Plan) -> Iterable[str]:
    owner: dict[tuple[int, str], str] = {}
    for p in plan.processes:
        name = f"{p.mode}_{p.endpoint} rank {p.rank} "
        for kind, port in p.ports:
            if not 0 < port < 65536:  # noqa: PLR2004 -- the range of TCP ports
                yield f"{name}has invalid {kind} port {port}"
            if kind in p.shared and not p.leader:
                continue
            other = owner.setdefault((p.node, str(port)), name + kind)
            if other != name + kind:
                yield f"port {port} on node {p.node} is assigned to {other} and {name}{kind}"
    for c in plan.preflight:
        if c.kind == "port":
            other = owner.setdefault((c.nodes[0], f"listen {c.subject}"), c.why)
            if other != c.why:
                yield f"{other} and {c.why} both listen on port {c.subject} on node {c.nodes[0]}"
            belongs = owner.get((c.nodes[0], c.subject), c.why.partition("_r")[0])
            if belongs.partition(" ")[0] != c.why.partition("_r")[0]:
                yield f"{c.why} listens on port {c.subject} on node {c.nodes[0]}, which is assigned to {belongs}"


def _gpus(plan: Plan) -> Iterable[str]:
    owner: dict[tuple[int, int], str] = {}
    workers = set(plan.nodes.workers)
    for e in plan.endpoints:
        name = e.name
        for place in ((n, g) for n in e.nodes for g in e.gpus):
            if owner.setdefault(place, name) != name:
                yield f"GPU {place[1]} on node {place[0]} is assigned to {owner[place]} and {name}"
        if not workers.issuperset(e.nodes):
            yield f"{name} is placed on a node that is not for workers"
    if plan.nodes.components and sum(plan.nodes.components) != plan.nodes.total:
        yield f"components {plan.nodes.components} do not add up to {plan.nodes.total} nodes"
    for s in plan.steps if plan.nodes.components else ():
        if len({plan.nodes.component(n) for n in s.nodes}) > 1:
            yield f"step {s.name} spans two components"


def _words(plan: Plan) -> Iterable[str]:
    total = plan.nodes.total
    for where, words in _all_words(plan):
        # skip plain text, which is most of a plan
        suspects = [w for w in words if not isinstance(w, Lit) or "\0" in w.text]
        for part in (p for w in suspects for p in parts(w)):
            if isinstance(part, Lit):
                if "\0" in part.text:
                    yield f"{where} contains a NUL character"
            elif part.index is not None and part.index >= total:
                yield f"{where} refers to node {part.index} of {total}"


def _all_words(plan: Plan) -> Iterable[tuple[str, list[Word]]]:
    for s in plan.steps:
        yield f"step {s.name}", _step_words(s)
    for s in _mounted(plan):
        yield f"step {s.name}", [w for m in s.mounts for w in (m.source, m.target)]
    for f in plan.files:
        if not isinstance(f.content, Map):  # YAML escapes what it must
            yield f"file {f.path}", [f.content]


def _step_words(step: Step) -> list[Word]:
    calls = [w for call in step.preamble for w in call]
    return [*step.argv, *calls, *(w for run in step.runs for w in run.argv), *[v.value for v in step.env]]


def _probes(plan: Plan) -> Iterable[str]:
    names, gates = {s.name for s in plan.steps}, {g.name for g in plan.gates}
    for g in plan.gates:
        if g.timeout_s < 1 or g.interval_s < 1:
            yield f"gate {g.name} has no interval or timeout"
    for p in plan.probes:
        if p.step not in names:
            yield f"a probe refers to step {p.step}, which does not exist"
        if p.gate not in gates:
            yield f"the probe of {p.step} refers to gate {p.gate}, which does not exist"


def _sequence(plan: Plan) -> Iterable[str]:
    """Check that every step starts exactly once, and that everything awaited exists."""
    started: Counter[str] = Counter()
    gates = {g.name for g in plan.gates}
    waits: dict[str, set[str]] = {
        "await_ready": gates,
        "await_end": {s.stage for s in plan.steps},
        "await_terminal": {s.name for s in plan.steps if s.terminal},
    }
    for action in plan.sequence:
        if action.verb == "start":
            of_stage = {s.name for s in plan.steps if s.stage == action.subject}
            started.update(set(action.steps or of_stage) - set(started))
        known = waits.get(action.verb)
        if known is not None and action.subject not in known:
            yield f"the job waits for {action.subject} ({action.verb}), which does not exist"
    yield from (f"step {s.name} never starts" for s in plan.steps if not started[s.name])


def _containers(plan: Plan) -> Iterable[str]:
    """Check that the srun options of a step match its container and mounts."""
    for s in {(id(s.container), id(s.mounts)): s for s in plan.steps}.values():
        runtime = plugin.runtime(s.container.runtime) if s.container else None
        wanted = runtime.srun(s.container, s.mounts) if runtime and s.container else ()
        if missing := [o.name for o in wanted if o not in s.srun]:
            yield f"srun options of step {s.name} do not match its container: {', '.join(missing)}"


def _mounted(plan: Plan) -> Iterable[Step]:
    """One step per distinct set of mounts, because most steps share theirs."""
    return {id(s.mounts): s for s in plan.steps}.values()


def _environment(plan: Plan) -> Iterable[str]:
    where = {v.name: s.name for s in plan.steps for v in s.env}
    for name, step in where.items():
        if not ENV_NAME.match(name):
            yield f"step {step} has invalid environment variable name {name!r}"


def _mounts(plan: Plan) -> Iterable[str]:
    for s in _mounted(plan):
        for m in s.mounts:
            for word in (m.source, m.target):
                first = parts(word)[0]
                if isinstance(first, Lit) and not first.text.startswith("/"):
                    yield f"step {s.name} mounts {first.text!r}, which is not an absolute path"
                if any(isinstance(p, Lit) and set(p.text) & {",", ":"} for p in parts(word)):
                    yield f"step {s.name} has a mount with ',' or ':' in a path"
