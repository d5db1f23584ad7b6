"""Rehearse engines, frontends, placements and benchmarks that no public recipe and no example uses."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from recording import Recording, check_launch, check_task
from sample import traits

from srtplan import pipeline
from srtplan.ir.plan import Plan
from srtplan.rehearsal.run import rehearse

pytestmark = pytest.mark.slow
Recipe = dict[str, Any]
APART = {"prefill_nodes": 1, "prefill_workers": 1, "decode_nodes": 1, "decode_workers": 1}
TOGETHER = {"agg_nodes": 1, "agg_workers": 1}
BENCH = {"client_dedicated_node": True}
LENGTHS = {"isl": 16, "osl": 4, "concurrencies": [2]}
ONE = {"enable_multiple_frontends": False}
TRACE = '{"timestamp": 0, "input_length": 8, "output_length": 4, "hash_ids": [1]}\n'
CASES: dict[str, Recipe] = {
    "vllm alone, its client apart, a trace": {
        "backend": {"type": "vllm"}, "frontend": {"type": "vllm", **ONE}, "resources": TOGETHER,
        "benchmark": {"type": "trace-replay", "trace_file": "TRACE", "concurrencies": [2], **BENCH},
    },
    "trtllm-serve alone, router": {
        "backend": {"type": "trtllm"}, "frontend": {"type": "trtllm_serve", **ONE}, "resources": TOGETHER,
        "benchmark": {"type": "router", "num_requests": 4, "concurrency": 2, "prefix_ratios": [0.5]},
    },
    "two components, frontends apart, longbenchv2": {
        "backend": {"type": "sglang"}, "frontend": {"type": "dynamo", "num_additional_frontends": 1},
        "resources": {**APART, "het_jobs": True}, "benchmark": {"type": "longbenchv2", "num_examples": 2},
    },
    "a frontend of its own, mmlu": {
        "backend": {"type": "sglang"}, "frontend": {"type": "sglang", **ONE, "dedicated_node": True},
        "resources": TOGETHER, "benchmark": {"type": "mmlu", "num_examples": 2, "repeat": 1},
    },
    "everything apart, sglang-bench": {
        "backend": {"type": "sglang"}, "frontend": {"type": "dynamo", **ONE, "dedicated_node": True},
        "infra": {"etcd_nats_dedicated_node": True}, "resources": APART,
        "benchmark": {"type": "sglang-bench", **LENGTHS, **BENCH, "colocate_with_frontend": False},
    },
    "decode on the prefill node, the client on its own node": {
        "backend": {"type": "vllm", "vllm_config": {"prefill": {"tensor-parallel-size": 4}, "decode": {"tensor-parallel-size": 4}}},
        "frontend": {"type": "dynamo", **ONE},
        "resources": {**APART, "decode_nodes": 0, "gpus_per_prefill": 4, "gpus_per_decode": 4},
        "benchmark": {"type": "sa-bench", **LENGTHS, "client_placement": "last_decode"},
    },
}  # fmt: skip
NEW = {
    "trtllm behind trtllm_serve agg", "vllm behind vllm agg", "client apart", "infra apart", "frontend apart", "components",
    *(f"benchmark {name}" for name in ("trace-replay with vllm", "router with trtllm", "longbenchv2 with sglang",
                                       "mmlu with sglang", "sglang-bench with sglang")),
}  # fmt: skip


def compile_case(name: str, folder: Path) -> Plan:
    """Compile the plan of a case."""
    (folder / "trace.jsonl").write_text(TRACE)
    recipe = CASES[name] | {
        "name": "sample",
        "model": {"path": "/models/m", "container": "/images/i.sqsh", "precision": "fp8"},
        "dynamo": {"install": False},
        "health_check": {"max_attempts": 90, "interval_seconds": 1},
    }
    recipe["resources"] = recipe["resources"] | {"gpu_type": "h100", "gpus_per_node": 8}
    text = yaml.safe_dump(recipe).replace("TRACE", str(folder / "trace.jsonl"))
    (folder / "r.yaml").write_text(text)
    (only,) = pipeline.compile_recipe(str(folder / "r.yaml"))
    return only.plan


def all_traits(plan: Plan) -> set[str]:
    """The traits of a plan, including those that the public recipes lack."""
    nodes = plan.nodes
    found = set(traits(plan)) | ({"components"} if nodes.components else set())
    return found | ({"frontend apart"} if nodes.head not in nodes.workers else set())


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SRTSLURM_CONFIG", raising=False)


def test_the_cases_have_all_missing_traits(tmp_path: Path) -> None:
    """Every trait in ``NEW`` occurs in a case."""
    assert set().union(*(all_traits(compile_case(name, tmp_path)) for name in CASES)) >= NEW


@pytest.mark.parametrize("name", CASES)
def test_a_case_runs_to_its_end(name: str, tmp_path: Path) -> None:
    """The launchers run the commands of plan.json; a rehearsal ends with 0, and the steps start in the order of the plan."""
    plan = compile_case(name, tmp_path)
    pipeline.write(pipeline.bundle(plan), tmp_path / "a" / "b")
    pipeline.write(pipeline.bundle(plan), tmp_path / "c")
    recording = Recording(tmp_path / "a" / "b", tmp_path / "a")
    for step in recording.plan["steps"]:
        check_launch(recording, step)
        check_task(recording, step)
    out = io.StringIO()
    assert rehearse(tmp_path / "c", work=tmp_path / "out", stdout=out) == 0, out.getvalue()[-3000:]
    (events,) = (tmp_path / "out").glob("*/attempt_0/events.jsonl")
    rows = [json.loads(line) for line in events.read_text().splitlines()]
    assert [r["step"] for r in rows if r.get("state") == "started"] == [s.name for s in plan.steps]
