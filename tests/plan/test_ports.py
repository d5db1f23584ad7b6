"""Ports: laws of the allocator."""

from __future__ import annotations

from attrs import asdict, evolve
from hypothesis import given
from hypothesis import strategies as st

from srtplan.ir.recipe import Ports
from srtplan.plan.ports import BASES, Allocator

KINDS = ("http", "system", "bootstrap", "kv_events", "nixl", "nccl", "dp_rpc", "vllm")
requests = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 40), st.booleans(), st.sampled_from([1, 1, 1, 4, 8])),
    max_size=300,
)


@given(requests)
def test_no_host_port_twice(wanted: list[tuple[str, int, bool, int]]) -> None:
    """Whatever is asked for, a port of a node is handed out once, and never one that is reserved."""
    reserved = [(n, 8000) for n in range(41)] + [(0, 4222), (0, 2379)]
    ports = Allocator.over(Ports(), reserved)
    seen = set(reserved)
    for kind, node, job_wide, block in wanted:
        first = ports.take(kind, node, job_wide=job_wide, block=block)
        for port in range(first, first + block):
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
