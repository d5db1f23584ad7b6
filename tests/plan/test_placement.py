"""Nodes by role, components of a heterogeneous job, shared nodes, and warnings about unused ones."""

from __future__ import annotations

from typing import Any

import pytest
from made import aggregated, plan, recipe, rules, step

from srtplan import pipeline
from srtplan.ir.plan import Plan

pytestmark = pytest.mark.usefixtures("alone")
DEDICATED = {"infra": {"etcd_nats_dedicated_node": True}, "frontend": {"dedicated_node": True}}
SA_BENCH = {"type": "sa-bench", "isl": 128, "osl": 16, "concurrencies": [4]}


def roles(made: Plan) -> tuple[int, int, int, int, tuple[int, ...]]:
    """Total, infra, head, client, workers."""
    n = made.nodes
    return n.total, n.infra, n.head, n.bench, n.workers


@pytest.mark.parametrize(
    ("infra", "frontend", "client", "together", "expected"),
    [
        (False, False, False, True, (2, 0, 0, 0, (0, 1))),
        (True, False, False, True, (3, 0, 1, 1, (1, 2))),
        (False, True, False, True, (3, 0, 0, 0, (1, 2))),
        (False, False, True, True, (3, 0, 0, 2, (0, 1))),
        (True, True, False, True, (3, 0, 0, 0, (1, 2))),
        (True, False, True, True, (3, 2, 0, 2, (0, 1))),
        (False, True, True, True, (3, 2, 2, 2, (0, 1))),
        (True, True, True, True, (3, 2, 2, 2, (0, 1))),
        (True, False, False, False, (3, 0, 1, 1, (1, 2))),
        (False, True, False, False, (3, 0, 0, 0, (1, 2))),
        (False, False, True, False, (3, 0, 0, 2, (0, 1))),
        (True, True, False, False, (4, 0, 1, 1, (2, 3))),
        (True, False, True, False, (4, 0, 1, 3, (1, 2))),
        (False, True, True, False, (4, 0, 0, 3, (1, 2))),
        (True, True, True, False, (5, 0, 1, 4, (2, 3))),
    ],
)
def test_dedicated_nodes(*, infra: bool, frontend: bool, client: bool, together: bool, expected: Any) -> None:
    """Dedicated roles share the last node if the client is among them, else the first; or have one each."""
    made = plan(
        recipe(
            infra={"etcd_nats_dedicated_node": infra},
            frontend={"dedicated_node": frontend},
            benchmark={**SA_BENCH, "client_dedicated_node": client, "colocate_with_frontend": together},
        )
    )
    assert roles(made) == expected


HET = {"prefill_nodes": 2, "prefill_workers": 4, "decode_nodes": 3, "decode_workers": 1, "het_jobs": True}


def test_a_heterogeneous_job_has_two_blocks_of_directives() -> None:
    """Nodes, tasks, queue and the recipe's own stand in both blocks; what concerns the script in the first only."""
    made = plan(recipe(resources=HET, slurm={"account": "a"}, sbatch_directives={"mem": "0", "comment": "x"}))
    at = made.sbatch.index("hetjob")
    first, second = made.sbatch[:at], made.sbatch[at + 1 :]
    assert {"--nodes=2", "--ntasks=2", "--segment=2", "--mem=0", "--account=a", "--comment=x"} <= set(first)
    assert second == (
        "--nodes=3", "--ntasks=3", "--ntasks-per-node=1", "--gpus-per-node=8", "--segment=3", "--account=a",
        "--time=01:00:00", "--mem=0",
    )  # fmt: skip
    assert "\n#SBATCH hetjob\n" in pipeline.bundle(made).text("job.sh")


def test_every_step_names_its_component() -> None:
    """Prefill and the infrastructure are in component 0, decode and a dedicated client in component 1."""
    client = {**SA_BENCH, "client_dedicated_node": True, "colocate_with_frontend": False}
    made = plan(recipe(resources=HET, infra={"etcd_nats_dedicated_node": True}, benchmark=client))
    assert made.nodes.components == (3, 4)
    groups = {s.name: next(str(o.value) for o in s.srun if o.name == "het-group") for s in made.steps}
    assert {name for name, group in groups.items() if "1" in group} == {
        "decode_0_r0", "decode_0_r1", "decode_0_r2", "frontend_1", "frontend_2", "frontend_3", "benchmark",
    }  # fmt: skip
    assert step(made, "prefill_3").nodes == (2,)


def test_roles_of_a_heterogeneous_job_stay_in_their_component() -> None:
    """Decode does not move onto a prefill node that is half free, nor prefill onto a decode node."""
    resources = HET | {"prefill_workers": 1, "gpus_per_prefill": 4, "decode_nodes": 1, "decode_workers": 2}
    made = plan(recipe(resources=resources))
    assert [e.nodes for e in made.endpoints] == [(0,), (2,), (2,)]
    assert rules(recipe(resources=resources | {"prefill_workers": 5})) == ["SP410"]


def test_an_ordinary_job_has_no_components() -> None:
    """No --het-group and no separator unless the recipe asks for it; aggregated workers are one component."""
    made = plan(recipe())
    assert "hetjob" not in made.sbatch
    assert not any(o.name == "het-group" for s in made.steps for o in s.srun)
    assert rules(recipe(resources=None) | {"resources": aggregated(1, 1) | {"het_jobs": True}}) == ["SP412"]


def vllm(prefill: int, decode: int, **options: Any) -> dict[str, Any]:
    """One prefill worker and two decode workers of so many GPUs, on two nodes."""
    resources = {"decode_workers": 2, "gpus_per_prefill": prefill, "gpus_per_decode": decode}
    return recipe("vllm", resources=resources, backend=options)


def test_vllm_packs_one_node() -> None:
    """Allowed to share a node, workers that fit onto one get one, whatever the recipe's node counts are."""
    made = plan(vllm(4, 2, allow_prefill_decode_colocation=True))
    assert made.nodes.total == 1
    assert [e.gpus for e in made.endpoints] == [(0, 1, 2, 3), (4, 5), (6, 7)]


def test_vllm_shares_one_node_only_if_all_fit() -> None:
    """What does not fit onto one node is packed over several only if that is allowed, too."""
    one, any_node = "allow_prefill_decode_colocation", "allow_prefill_decode_colocation_across_nodes"
    assert [e.nodes for e in plan(vllm(4, 4, **{one: True})).endpoints] == [(0,), (1,), (1,)]
    assert [e.nodes for e in plan(vllm(4, 4, **{any_node: True})).endpoints] == [(0,), (0,), (1,)]


def test_packing_gives_whole_nodes_to_large_workers() -> None:
    """A worker of a whole node begins on a fresh one; the node count is what the workers really fill."""
    made = plan(vllm(4, 8, allow_prefill_decode_colocation_across_nodes=True))
    assert (made.nodes.total, [e.nodes for e in made.endpoints]) == (3, [(0,), (1,), (2,)])


def test_spread_workers() -> None:
    """Small workers get a node each instead of sharing one."""
    resources = {"decode_nodes": 2, "decode_workers": 2, "gpus_per_decode": 4, "spread_workers": True}
    made = plan(recipe(resources=resources))
    assert [e.nodes for e in made.endpoints] == [(0,), (1,), (2,)]


def test_decode_on_the_prefill_nodes() -> None:
    """With decode_nodes: 0 the GPUs that prefill leaves are decode's, and nobody calls them unused."""
    resources = {"prefill_workers": 3, "decode_nodes": 0, "decode_workers": 1}
    made = plan(recipe(resources=resources))
    assert [e.gpus for e in made.endpoints] == [(0, 1), (2, 3), (4, 5), (6, 7)]
    assert rules(recipe(resources=resources)) == []


def test_unused_nodes_are_reported() -> None:
    """A worker node without a worker, and a reserved node that nothing of the job needs."""
    assert rules(recipe(resources={"decode_nodes": 3, "decode_workers": 1, "gpus_per_decode": 8})) == [
        "SP416"
    ]
    assert rules(recipe(frontend={"type": "sglang"}, infra={"etcd_nats_dedicated_node": True})) == ["SP414"]
    assert rules(recipe(benchmark={"client_dedicated_node": True})) == ["SP414"]
    assert rules(recipe(**DEDICATED)) == []


def test_contradicting_places_are_refused() -> None:
    """One role cannot be in two places."""
    both = {**SA_BENCH, "client_dedicated_node": True, "client_placement": "last_decode"}
    assert rules(recipe(benchmark=both)) == ["SP413"]
    frontend = {"orchestrator_placement": "first_decode", "enable_multiple_frontends": False}
    assert rules(recipe(frontend=frontend)) == []
    assert rules(recipe(frontend=frontend | {"dedicated_node": True})) == ["SP413"]
    assert rules(recipe(frontend=frontend | {"enable_multiple_frontends": True})) == ["SP415"]
