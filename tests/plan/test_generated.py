"""Laws over recipes made at random: they compile to a sound plan or are refused with a position, never a traceback."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from effort import examples
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from recipes import PAIRS, Recipe, recipes

from srtplan import pipeline
from srtplan.diagnostics import InputError
from srtplan.ir.plan import Plan

settings.register_profile("plan", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("plan")


@pytest.fixture(autouse=True, scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("recipes"))
        patch.delenv("SRTSLURM_CONFIG", raising=False)
        yield


def compiled(recipe: Recipe, name: str = "r.yaml") -> Plan | None:
    """The plan of a recipe; None if it is refused, which must be with a place and a rule."""
    Path(name).write_text(yaml.safe_dump(recipe, allow_unicode=True, sort_keys=False), encoding="utf-8")
    try:
        (only,) = pipeline.compile_recipe(name)
    except InputError as e:
        misplaced = [p for p in e.report.errors if p.line == 0 or not p.rule.startswith("SP")]
        assert misplaced == []
        event("refused: " + e.report.errors[0].rule)
        return None
    event(f"compiles: {only.plan.engine} {only.plan.frontend}")
    return only.plan


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@settings(max_examples=examples(25))
@given(st.data())
def test_compiles_or_is_refused_with_a_place(pair: tuple[str, str], data: st.DataObject) -> None:
    """Every generated recipe gives a verified plan (no host:port twice, no GPU twice, ...) or problems with positions."""
    recipe = data.draw(recipes(pair=pair))
    made = compiled(recipe)
    if made is None:
        return
    event("more than 100 nodes" if made.nodes.total > 100 else "few nodes")
    listening = [(c.nodes[0], c.subject) for c in made.preflight if c.kind == "port"]
    assert len(listening) == len(set(listening))
    assert (
        sum(len(e.nodes) * len(e.gpus) for e in made.endpoints)
        <= len(made.nodes.workers) * recipe["resources"]["gpus_per_node"]
    )
    assert all(port < 32768 for p in made.processes for _, port in p.ports)


@given(recipes(aggregated=False))
def test_one_more_decode_worker_leaves_prefill_alone(recipe: Recipe) -> None:
    """Adding decode workers with their nodes changes no byte of a prefill launcher, but for a head or infra node that moves.

    A node that is reserved for the client comes after all workers, and it may be the head (docs/explanation/architecture.md).
    """
    size = recipe["resources"]
    nodes, workers = size["decode_nodes"], size["decode_workers"]
    more = {
        "decode_nodes": nodes + max(1, nodes // workers) if nodes else 0,
        "decode_workers": workers + (max(1, workers // nodes) if nodes else 1),
    }
    before, after = compiled(recipe), compiled(recipe | {"resources": size | more})
    if before is None or after is None:
        return
    moved = {before.nodes.head: after.nodes.head, before.nodes.infra: after.nodes.infra}
    event("both compile" if all(k == v for k, v in moved.items()) else "both compile, the head moves")
    assert prefill(before, moved) == prefill(after, {})


def prefill(made: Plan, moved: dict[int, int]) -> dict[str, str]:
    """The launchers of the prefill workers, as if nodes that hold something of the whole job had moved."""
    found = {
        f.path: f.content.decode() for f in pipeline.bundle(made).files if f.path.startswith("steps/prefill_")
    }
    own = set(made.nodes.workers)

    def place(match: re.Match[str]) -> str:
        node = int(match[2])
        return f"{match[1]}[{node if node in own else moved.get(node, node)}]"

    return {path: re.sub(r"(IP|NODE)\[(\d+)\]", place, text) for path, text in found.items()}


@settings(max_examples=examples(30))
@given(recipes())
def test_the_order_of_keys_does_not_show(recipe: Recipe) -> None:
    """The same recipe with its keys shuffled gives the same bundle, but for the checksum of the recipe itself."""
    first = compiled(recipe)
    second = compiled(shuffled(recipe))
    if first is None or second is None:
        assert first is second
        return
    assert files(first) == files(second)


ORDERED = ("args", "container_mounts")
"""Mappings whose order is that of flags and of mounts."""


def shuffled(value: Any) -> Any:
    """The same data, keys of mappings in another order."""
    if isinstance(value, dict):
        items = [(k, v if k in ORDERED else shuffled(v)) for k, v in value.items()]
        random.Random(len(items)).shuffle(items)
        return dict(items)
    return value


def files(made: Plan) -> dict[str, bytes]:
    """The bundle without what names the recipe's bytes."""
    bundle = pipeline.bundle(made)
    plain = {f.path: f.content for f in bundle.files if f.path not in ("plan.json", "MANIFEST.sha256")}
    data = json.loads(bundle.text("plan.json"))
    data["recipe"].pop("sha256")
    return plain | {"plan.json": json.dumps(data, sort_keys=True).encode()}


def test_a_thousand_nodes() -> None:
    """A job of 1,000 nodes and 4,000 processes plans; every port stays below the ephemeral range."""
    resources = {"gpu_type": "h100", "gpus_per_node": 8, "prefill_nodes": 500, "prefill_workers": 2000,
                 "decode_nodes": 500, "decode_workers": 2000}  # fmt: skip
    recipe = {
        "name": "large", "resources": resources, "backend": {"type": "sglang"}, "benchmark": {"type": "manual"},
        "model": {"path": "/m", "container": "/i.sqsh", "precision": "fp8"},
    }  # fmt: skip
    Path("large.yaml").write_text(yaml.safe_dump(recipe))
    (only,) = pipeline.compile_recipe("large.yaml")
    made = only.plan
    assert len(made.processes) == 4000
    assert max(port for p in made.processes for _, port in p.ports) < 32768
