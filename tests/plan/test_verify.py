"""verify: each kind of invalid Plan has a message; a valid Plan has none."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from attrs import evolve
from made import option, plan, recipe

from srtplan.ir.plan import Action, Container, EnvVar, Mount, Plan, SrunOption, Step
from srtplan.ir.shell import Lit, ip, notation
from srtplan.plan.verify import verify

pytestmark = pytest.mark.usefixtures("alone")


def first(made: Plan, **changes: object) -> Plan:
    """The plan with its first step changed."""
    return evolve(made, steps=(evolve(made.steps[0], **changes), *made.steps[1:]))


def _process_port(made: Plan) -> Plan:
    processes = [evolve(p, node=0) for p in made.processes]
    return evolve(made, processes=tuple(evolve(p, ports=(("system", 8081),)) for p in processes))


def _listener(made: Plan) -> Plan:
    ports = [c for c in made.preflight if c.kind == "port"]
    return evolve(made, preflight=(*made.preflight, evolve(ports[0], why="another step")))


def _foreign_port(made: Plan) -> Plan:
    """A worker that listens where another has a port of its own."""
    (own,) = [c for c in made.preflight if c.kind == "port" and c.why == "decode_0"][:1]
    return evolve(made, preflight=(*made.preflight, evolve(own, subject="30000", nodes=(0,))))


def _meeting_port(made: Plan) -> Plan:
    """Two workers that would meet their ranks at one port."""
    return evolve(
        made, processes=tuple(evolve(p, node=0, ports=(("dp_rpc", 13345),)) for p in made.processes)
    )


def _mount(made: Plan, source: str) -> Plan:
    return first(made, mounts=(Mount(source=Lit(source), target=Lit("/x"), origin="recipe"),))


VIOLATIONS: dict[str, Callable[[Plan], Plan]] = {
    r"step nats occurs 2 times": lambda p: evolve(p, steps=(p.steps[0], *p.steps)),
    r"invalid step name '../nats'": lambda p: first(p, name="../nats"),
    r"not ordered by stage": lambda p: evolve(p, steps=p.steps[::-1]),
    r"more than one terminal step": lambda p: evolve(
        p, steps=tuple(evolve(s, terminal=True) for s in p.steps)
    ),
    r"must have either argv or runs": lambda p: first(p, argv=()),
    r"needs a task on every node: nodes 1, tasks 0": lambda p: first(
        p, srun=(SrunOption(name="ntasks", value=Lit("0")),)
    ),
    r"has invalid system port 70000": lambda p: evolve(
        p, processes=(evolve(p.processes[0], ports=(("system", 70000),)),)
    ),
    r"port 8081 on node 0 is assigned to prefill_0 rank 0 system and decode_0 rank 0 system": _process_port,
    r"port 13345 on node 0 is assigned to prefill_0 rank 0 dp_rpc and decode_0 rank 0 dp_rpc": _meeting_port,
    r"both listen on port": _listener,
    r"decode_0 listens on port 30000 on node 0, which is assigned to prefill_0 rank 0 http": _foreign_port,
    r"GPU 0 on node 0 is assigned to prefill_0 and decode_0": lambda p: evolve(
        p, endpoints=tuple(evolve(e, nodes=(0,)) for e in p.endpoints)
    ),
    r"not for workers": lambda p: evolve(p, nodes=evolve(p.nodes, workers=(0,))),
    r"components \(1, 2\) do not add up to 2 nodes": lambda p: evolve(
        p, nodes=evolve(p.nodes, components=(1, 2))
    ),
    r"spans two components": lambda p: evolve(
        first(p, nodes=(0, 1)), nodes=evolve(p.nodes, components=(1, 1))
    ),
    r"refers to node 7 of 2": lambda p: first(p, argv=(ip(7),)),
    r"contains a NUL character": lambda p: first(p, argv=(Lit("a\0"),)),
    r"a probe refers to step gone": lambda p: evolve(p, probes=(evolve(p.probes[0], step="gone"),)),
    r"refers to gate gone, which does not exist": lambda p: evolve(
        p, probes=(evolve(p.probes[0], gate="gone"),)
    ),
    r"step nats never starts": lambda p: evolve(p, sequence=p.sequence[1:]),
    r"waits for gone \(await_ready\), which does not exist": lambda p: evolve(
        p, sequence=(*p.sequence, Action(verb="await_ready", subject="gone"))
    ),
    r"srun options of step nats do not match its container: container-image": lambda p: first(
        p, container=Container(image="/other.sqsh", runtime="pyxis")
    ),
    r"has no interval or timeout": lambda p: evolve(p, gates=(evolve(p.gates[0], timeout_s=0),)),
    r"invalid environment variable name 'A-B'": lambda p: first(p, env=(EnvVar(name="A-B", value=Lit("")),)),
    r"mounts 'here', which is not an absolute path": lambda p: _mount(p, "here"),
    r"a mount with ',' or ':' in a path": lambda p: _mount(p, "/a,b"),
}


@pytest.mark.parametrize("says", VIOLATIONS)
def test_a_violated_invariant_is_reported(says: str) -> None:
    """Each violated invariant is reported; a valid plan is not."""
    made = plan(recipe())
    assert verify(made) == ()
    broken = verify(VIOLATIONS[says](made))
    assert any(re.search(says, line) for line in broken), broken


def ranks(mode: str = "per_gpu", **prefill: object) -> Plan:
    """Two prefill workers of 4 ranks on a node, a decode worker of 16 ranks on two."""
    sizes = {"prefill": {"data-parallel-size": 4, **prefill}, "decode": {"data-parallel-size": 16}}
    return plan(
        recipe(
            "vllm",
            resources={"prefill_workers": 2, "decode_nodes": 2},
            backend={"vllm_config": sizes, "dp_launch_mode": mode},
            dynamo={"install": False},
        )
    )


def _output(step: Step) -> str:
    """The log of a step, as its srun options have it."""
    return next(notation(o.value) for o in step.srun if o.name == "output" and o.value)


def test_a_process_per_rank() -> None:
    """Ranks of a worker share its meeting port, have a GPU, a name and a log each, and each is waited for."""
    made = ranks()
    assert len(made.processes) == 24
    assert {p.port("dp_rpc") for p in made.processes if p.mode == "decode"} == {13345}
    assert [option(made, f"prefill_{w}_r0", "--data-parallel-rpc-port") for w in (0, 1)] == ["13345", "13346"]
    workers: list[Step] = [s for s in made.steps if s.stage == "worker"]
    assert len({_output(s) for s in workers}) == 24
    assert option(made, "decode_0_r9", "--data-parallel-rank") == "9"
    assert option(made, "decode_0_r9", "--device-ids") == "1"
    assert option(made, "decode_0_r9", "--data-parallel-address") == "${IP[1]}"
    assert {p.expect for p in made.probes if p.expect} == {(("prefill", 8), ("decode", 16))}
    assert [notation(w) for w in workers[0].argv].count("--data-parallel-size") == 1


def test_the_recipes_own_meeting_port() -> None:
    """data-parallel-rpc-port is where the ports of the workers of a node begin, in both launch modes."""
    for mode, first_step in (("per_gpu", "prefill_1_r0"), ("per_node", "prefill_1")):
        made = ranks(mode, **{"data-parallel-rpc-port": 14000})
        assert option(made, first_step, "--data-parallel-rpc-port") == "14001"
