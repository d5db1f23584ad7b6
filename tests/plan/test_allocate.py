"""Placement: examples from the field, and laws over generated jobs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from srtplan.ir.topology import Endpoint
from srtplan.plan.topology.allocate import AllocationError, Group, allocate

sizes = st.sampled_from([1, 2, 4, 8])


def _shown(endpoints: tuple[Endpoint, ...]) -> str:
    return " ".join(f"{e.name}:{e.nodes}{e.gpus}".replace(" ", "") for e in endpoints)


def test_whole_nodes_then_halves() -> None:
    """Workers of a whole node take nodes in order, smaller ones share the next ones."""
    got = allocate([Group("prefill", 2, 8), Group("decode", 4, 4)], gpus_per_node=8, nodes=range(4))
    assert [(e.name, e.nodes, e.gpus[0]) for e in got] == [
        ("prefill_0", (0,), 0),
        ("prefill_1", (1,), 0),
        ("decode_0", (2,), 0),
        ("decode_1", (2,), 4),
        ("decode_2", (3,), 0),
        ("decode_3", (3,), 4),
    ]


def test_multi_node_worker_has_whole_nodes() -> None:
    """A worker of several nodes has every GPU of each, also after a half-used node."""
    got = allocate([Group("prefill", 3, 2), Group("decode", 1, 32)], gpus_per_node=4, nodes=range(10))
    assert got[-1].nodes == tuple(range(2, 10))
    assert got[-1].gpus == (0, 1, 2, 3)


def test_decode_shares_the_last_prefill_node_when_there_is_no_other() -> None:
    """With decode_nodes: 0 the decode workers follow on the prefill nodes."""
    got = allocate([Group("prefill", 6, 2), Group("decode", 2, 2)], gpus_per_node=8, nodes=range(2))
    assert got[-2].nodes == got[-1].nodes == (1,)
    assert got[-1].gpus == (6, 7)


def test_decode_moves_to_a_node_of_its_own_when_there_is_one() -> None:
    """Prefill and decode do not share a node while another one is free."""
    got = allocate([Group("prefill", 1, 2), Group("decode", 1, 2)], gpus_per_node=8, nodes=range(2))
    assert (got[0].nodes, got[1].nodes) == ((0,), (1,))


@pytest.mark.parametrize(
    ("groups", "nodes", "says"),
    [
        (
            [Group("prefill", 1, 4), Group("decode", 1, 8)],
            1,
            "prefill_0 and decode_0 would both use GPU 0 of node 0",
        ),
        ([Group("prefill", 1, 12)], 2, "does not fill whole nodes"),
        ([Group("agg", 16, 0)], 1, "has 0 GPUs"),
        ([Group("decode", 3, 8)], 2, "no room for decode_2 (8 GPUs) on 2 worker nodes"),
    ],
)
def test_placement_errors_name_the_worker(groups: list[Group], nodes: int, says: str) -> None:
    """Each placement error names the worker."""
    with pytest.raises(AllocationError, match=says.replace("(", r"\(").replace(")", r"\)")):
        allocate(groups, gpus_per_node=8, nodes=range(nodes))


@st.composite
def jobs(draw: Callable[..., object]) -> dict[str, object]:
    """Groups, GPUs per node and nodes, mostly close to fitting."""
    gpn = draw(sizes)
    modes = draw(st.sampled_from([("agg",), ("prefill", "decode"), ("prefill",), ("decode",)]))
    groups = [
        Group(
            m,
            draw(st.integers(0, 9)),
            draw(st.one_of(st.integers(0, 20), st.integers(1, 6).map(lambda k: k * gpn))),
        )  # type: ignore[operator,arg-type]
        for m in modes  # type: ignore[attr-defined]
    ]
    return {"groups": groups, "gpus_per_node": gpn, "nodes": range(3, 3 + draw(st.integers(1, 40)))}  # type: ignore[operator]


@given(job=jobs(), spread=st.booleans())
def test_laws_of_placement(job: dict, spread: bool) -> None:  # noqa: FBT001
    """No GPU twice, every worker exactly its GPUs, whole nodes when it spans nodes, only nodes that were given."""
    try:
        got = allocate(**job, spread=spread)
    except AllocationError:
        event("does not fit")
        return
    event("fits")
    places = [(n, g) for e in got for n in e.nodes for g in e.gpus]
    assert len(places) == len(set(places))
    assert {n for n, _ in places} <= set(job["nodes"])
    per = {g.mode: g for g in job["groups"]}
    assert len(got) == sum(g.count for g in job["groups"])
    for e in got:
        assert len(e.nodes) * len(e.gpus) == per[e.mode].gpus
        if len(e.nodes) > 1:
            assert len(e.gpus) == job["gpus_per_node"]
            assert e.nodes == tuple(range(e.nodes[0], e.nodes[0] + len(e.nodes)))


@given(job=jobs())
def test_a_worker_more_at_the_end_moves_none_before_it(job: dict) -> None:
    """Adding a worker to the last role leaves every other where it was."""
    try:
        before = allocate(**job)
        *front, last = job["groups"]
        after = allocate(
            [*front, Group(last.mode, last.count + 1, last.gpus)],
            gpus_per_node=job["gpus_per_node"],
            nodes=job["nodes"],
        )
    except AllocationError:
        return
    event("one more fits")
    assert _shown(after).startswith(_shown(before))


@given(job=jobs())
def test_enough_nodes_always_fit(job: dict) -> None:
    """Whole-node workers on as many nodes as they need fit."""
    gpn = job["gpus_per_node"]
    groups = [Group(g.mode, g.count, max(1, g.gpus // gpn) * gpn) for g in job["groups"]]
    need = sum(g.count * g.gpus // gpn for g in groups)
    assert len(allocate(groups, gpus_per_node=gpn, nodes=range(need))) == sum(g.count for g in groups)
