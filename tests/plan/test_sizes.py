"""Numbers of a recipe that decide sizes: however they are written they count, and no absurd one is planned for long."""

from __future__ import annotations

from typing import Any

import pytest
from made import Recipe, aggregated, plan, recipe, rules

from srtplan import flags
from srtplan.diagnostics import InputError
from srtplan.ir.data import Map, freeze
from srtplan.ir.recipe import Ports
from srtplan.ir.shell import notation
from srtplan.plan.topology.ports import Allocator, PortsExhaustedError

pytestmark = pytest.mark.usefixtures("alone")


@pytest.mark.parametrize(
    ("args", "extra", "found"),
    [
        ({"tp-size": 8}, (), 8),
        ({"tp_size": "8"}, (), 8),
        ({"tp": " 8 "}, (), 8),
        ({"tp-size": 8}, ("--tp-size", "16"), 16),
        ({}, ("--tp-size=16", "--x"), 16),
        ({}, ("--tp_size", "16"), 16),
        ({}, ("-tp", "4"), 4),
        ({}, ("--tp-size", "--x"), None),
        ({"tp-size": True}, (), None),
        ({"tp-size": 8.0}, (), None),
        ({"tp-size": "eight"}, (), None),
        ({"tp-size": None}, (), None),
        ({}, ("tp-size", "16"), None),
        ({}, (), None),
    ],
)
def test_a_number_counts_however_it_is_written(
    args: dict[str, Any], extra: tuple[str, ...], found: int | None
) -> None:
    """Options and extra arguments form one command line on which the last value wins; only whole numbers count."""
    options = freeze(args)
    assert isinstance(options, Map)
    assert flags.count(options, extra, "tp-size", "tp") == found


def vllm(**backend: Any) -> Recipe:
    """One vLLM worker of a node of 8 GPUs."""
    return recipe("vllm", backend=backend) | {"resources": aggregated(1, 1)}


@pytest.mark.parametrize(
    "backend",
    [
        {"vllm_config": {"aggregated": {"data-parallel-size": 8}}},
        {"vllm_config": {"aggregated": {"data_parallel_size": "8"}}},
        {"aggregated_extra_args": ["--data-parallel-size", "8"]},
    ],
    ids=["number", "text", "words"],
)
def test_data_parallel_ranks_are_launched_however_they_are_asked_for(backend: dict[str, Any]) -> None:
    """A size as a string or among the extra arguments gives the same flags and ports as a number."""
    (worker,) = (s for s in plan(vllm(**backend)).steps if s.stage == "worker")
    words = [notation(w) for w in worker.argv]
    assert words[words.index("--data-parallel-size-local") + 1] == "8"
    assert "--data-parallel-hybrid-lb" in words


@pytest.mark.parametrize(
    ("args", "extra", "wanted"),
    [
        ({"tp-size": 4, "dp-size": 2}, [], []),
        ({"tp-size": 8, "dp-size": 2}, [], ["SP402"]),
        ({"tp-size": 8, "dp-size": 8, "enable-dp-attention": True}, [], []),
        ({"tp-size": 8, "dp-size": 8}, ["--enable-dp-attention"], []),
        ({"tp-size": 8, "dp-size": 8, "enable-dp-attention": False}, [], ["SP402"]),
        ({"tp-size": 4, "pp-size": 2}, [], []),
        ({"tp-size": 2, "pp-size": 2}, [], ["SP403"]),
        ({"dp-size": 8}, [], []),
    ],
)
def test_gpus_of_a_sglang_worker(args: dict[str, Any], extra: list[str], wanted: list[str]) -> None:
    """TP x PP x DP GPUs; TP x PP where attention is data-parallel, because its ranks are inside the group."""
    backend = {"sglang_config": {"aggregated": args}, "aggregated_extra_args": extra}
    assert rules(recipe(backend=backend) | {"resources": aggregated(1, 1)}) == wanted


def test_workers_of_a_mocker_are_counted_where_the_role_says_them() -> None:
    """``num-workers`` among the options of a role wins over that of the engine, also for the health gate."""
    data = recipe("mocker", backend={"num_workers": 2, "mocker_config": {"decode": {"num-workers": 3}}})
    assert {p.expect for p in plan(data).probes if p.expect} == {(("prefill", 2), ("decode", 3))}


def test_topology_is_checked_before_ports() -> None:
    """A thousand ranks too many are no question of ports."""
    assert rules(vllm(vllm_config={"aggregated": {"data-parallel-size": 2000}})) == ["SP402", "SP508"]


def test_a_block_of_ports_that_no_node_has() -> None:
    """More consecutive ports than exist are rejected without a search."""
    with pytest.raises(PortsExhaustedError):
        Allocator.over(Ports()).take("nixl", 0, block=1_000_000)


def test_too_many_ports_of_a_node() -> None:
    """Where every number is plausible and the ports of a node are used up, the profile is named as the remedy."""
    data = recipe("mocker") | {"resources": aggregated(1, 8)}
    with pytest.raises(InputError) as caught:
        plan(data, profile={"ports": {"system": 8695}})
    (problem,) = caught.value.report
    assert (problem.rule, problem.line) == ("SP411", 6)


def test_workers_that_would_fill_more_nodes_than_there_are() -> None:
    """Workers that may share nodes are not placed on millions of them."""
    resources = {
        "gpu_type": "h100", "gpus_per_node": 1, "prefill_nodes": 1, "prefill_workers": 1,
        "decode_nodes": 10_000, "decode_workers": 10_000, "gpus_per_decode": 10_000,
    }  # fmt: skip
    data = recipe("vllm", backend={"allow_prefill_decode_colocation_across_nodes": True})
    assert rules(data | {"resources": resources}) == ["SP410"]


@pytest.mark.parametrize("kind", ["sa-bench", "sglang-bench"])
def test_a_ladder_of_too_many_runs(kind: str) -> None:
    """A thousand runs are enough for anyone; 20,000 are refused without being compared with each other."""
    bench = {"type": kind, "isl": 8, "osl": 8, "concurrencies": list(range(1, 20_001))}
    assert rules(recipe(benchmark=bench)) == ["SP702"]
