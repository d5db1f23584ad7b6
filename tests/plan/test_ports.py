"""Ports: laws of the allocator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import made
import pytest
from attrs import asdict, evolve
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from srtplan.ir.plan import Plan
from srtplan.ir.recipe import Ports
from srtplan.plan.topology.ports import BASES, Allocator

KINDS = ("http", "system", "bootstrap", "kv_events", "nixl", "nccl", "dp_rpc", "vllm")
requests = st.lists(
    st.tuples(
        st.sampled_from(KINDS), st.integers(0, 40), st.booleans(), st.sampled_from([1, 1, 1, 4, 8]),
        st.sampled_from([(), (), (5, 13, 233), (1, 2)]),
    ),
    max_size=300,
)  # fmt: skip


@given(requests)
def test_no_host_port_twice(wanted: list[tuple[str, int, bool, int, tuple[int, ...]]]) -> None:
    """Each port of a node is assigned at most once, and never a reserved one."""
    reserved = [(n, 8000) for n in range(41)] + [(0, 4222), (0, 2379)]
    ports = Allocator.over(Ports(), reserved)
    seen = set(reserved)
    for kind, node, job_wide, block, offsets in wanted:
        first = ports.take(kind, node, job_wide=job_wide, block=block, offsets=offsets)
        for port in {*range(first, first + block), *(first + distance for distance in offsets)}:
            assert (node, port) not in seen
            seen.add((node, port))


def test_counters_of_a_large_job_stay_in_their_range() -> None:
    """4,000 processes: every kind stays between its base and the next kind's, below the ephemeral range."""
    ports, table = Allocator.over(Ports()), asdict(Ports())
    for i in range(4000):
        for kind in ("system", "kv_events", "nixl", "nccl"):
            port = ports.take(kind, i // 4, job_wide=True)
            above = min(v for k, v in table.items() if k in BASES and v > table[kind])
            assert table[kind] <= port < above


def test_a_base_of_the_recipe_counts_up_per_node() -> None:
    """Two prefill workers of a node that ask for the same bootstrap port get neighbours; another node starts again."""
    ports = Allocator.over(Ports())
    assert [ports.take("bootstrap", n, base=30001) for n in (0, 0, 1)] == [30001, 30002, 30001]


def test_a_taken_port_is_passed_over() -> None:
    """The second HTTP port of a node avoids a bootstrap port that the recipe put there."""
    ports = Allocator.over(Ports())
    assert ports.take("bootstrap", 0, base=30001) == 30001
    assert [ports.take("http", 0), ports.take("http", 0)] == [30000, 30002]


def test_stride_of_the_profile() -> None:
    """With a stride the ports of a node are that far apart."""
    ports = Allocator.over(evolve(Ports(), http=6100, http_stride=32))
    assert [ports.take("http", 0, stride=32) for _ in range(3)] == [6100, 6132, 6164]


ATTENTION = {"tp-size": 2, "dp-size": 2, "enable-dp-attention": True}


def derived(plan: Plan, modes: set[str]) -> Iterator[tuple[int, int, str]]:
    """(node, port, owner) of what SGLang 0.5.5 or 0.5.23 opens in addition to the planned ports; ``modes`` have two ranks of attention."""
    for p in plan.processes:
        if p.mode not in modes:
            continue
        owner = f"{p.mode}_{p.endpoint}"
        spans = sum(q.mode == p.mode and q.endpoint == p.endpoint for q in plan.processes) > 1
        first, more = ("dist_init", (1, 2, 3, 4, 5, 6, 13)) if spans else ("http", (5, 13, *range(233, 240)))
        if p.leader:
            yield from ((p.node, p.port(first) + distance, owner) for distance in more)
        yield p.node, p.port("kv_events") + 1, owner


@st.composite
def colocated(draw: st.DrawFn) -> tuple[made.Recipe, made.Recipe, set[str]]:
    """Workers of two GPUs, prefill and decode on the same nodes or not, or over two nodes; a profile with some stride."""
    gpn = draw(st.sampled_from([2, 4, 8]))
    size: dict[str, Any] = {"gpu_type": "h100", "gpus_per_node": gpn}
    if gpn == 2 and draw(st.booleans()):
        size |= {
            "gpus_per_node": 1,
            "prefill_nodes": 2,
            "prefill_workers": 1,
            "decode_nodes": 4,
            "decode_workers": 2,
        }
    else:
        size |= {"prefill_nodes": 2, "prefill_workers": gpn, "decode_nodes": 1, "decode_workers": gpn // 2}
        if gpn > 2 and draw(st.booleans()):
            half = {"gpus_per_prefill": 2, "gpus_per_decode": 2, "decode_nodes": 0}
            size |= half | {"prefill_workers": gpn // 2, "decode_workers": gpn // 2}
    modes = draw(st.sets(st.sampled_from(["prefill", "decode"]), min_size=1))
    options = dict.fromkeys(modes, ATTENTION)
    interface = draw(st.sampled_from(["dynamo", "sglang"]))
    data = made.recipe(
        resources=size,
        frontend={"type": interface},
        backend={"sglang_config": options, "kv_events_config": True},
    )
    data["resources"] = size
    table = draw(st.sampled_from([{}, {"http": 6100, "http_stride": 32}, {"http": 30760, "kv_events": 6500}]))
    return data, {"ports": table}, modes


@pytest.mark.usefixtures("alone")
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(colocated())
def test_ports_that_sglang_derives_are_nobody_else_s(
    drawn: tuple[made.Recipe, made.Recipe, set[str]],
) -> None:
    """The extra ports of data-parallel attention belong to one worker and are checked by the preflight."""
    data, profile, modes = drawn
    plan = made.plan(data, profile=profile)
    owners: dict[tuple[int, int], set[str]] = {}
    own = [(p.node, n, f"{p.mode}_{p.endpoint}") for p in plan.processes for _, n in p.ports]
    more = list(derived(plan, modes))
    for node, port, owner in (*own, *more):
        owners.setdefault((node, port), set()).add(owner)
    assert {place: names for place, names in owners.items() if len(names) > 1} == {}
    nodes = [p.node for p in plan.processes if p.mode in modes]
    event("several on a node" if len(nodes) > len(set(nodes)) else "one on a node")
    looked_at = {(c.nodes[0], int(c.subject)) for c in plan.preflight if c.kind == "port"}
    assert looked_at >= {(node, port) for node, port, _ in more}


@pytest.mark.usefixtures("alone")
def test_numbers_of_two_workers_of_a_node() -> None:
    """Two workers with data-parallel attention of a node are 7 apart; without it they are neighbours, as ever."""
    size = made.aggregated(1, 2, 4)

    def http(**flags: Any) -> list[int]:
        data = made.recipe(backend={"sglang_config": {"aggregated": flags}})
        return [p.port("http") for p in made.plan(data | {"resources": size}).processes]

    assert http(**{"tp-size": 2}) == [30000, 30001]
    assert http(**ATTENTION) == [30000, 30007]
    assert http(**{"tp-size": 2, "attn-dp-size": 2}) == [30000, 30007]
    assert http(**ATTENTION | {"dp-size": 1}) == [30000, 30001]
