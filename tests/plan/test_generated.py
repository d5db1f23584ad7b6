"""Laws over recipes made at random: they compile to a sound plan or are refused with a position, never a traceback."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, event, given, settings
from recipes import Recipe, recipes

from srtplan import pipeline
from srtplan.diagnostics import InputError
from srtplan.ir.plan import Plan
from srtplan.ir.shell import notation

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


@given(recipes())
def test_compiles_or_is_refused_with_a_place(recipe: Recipe) -> None:
    """Every generated recipe gives a verified plan (no host:port twice, no GPU twice, ...) or problems with positions."""
    made = compiled(recipe)
    if made is None:
        return
    listening = [(c.nodes[0], c.subject) for c in made.preflight if c.kind == "port"]
    assert len(listening) == len(set(listening))
    assert (
        sum(len(e.nodes) * len(e.gpus) for e in made.endpoints)
        <= len(made.nodes.workers) * recipe["resources"]["gpus_per_node"]
    )


@given(recipes())
def test_one_more_decode_worker_leaves_prefill_alone(recipe: Recipe) -> None:
    """Adding a decode worker with its nodes changes no byte of a prefill step but what names the whole."""
    resources = recipe["resources"]
    if "decode_nodes" not in resources:
        return
    span = max(1, resources["decode_nodes"] // resources["decode_workers"])
    workers = max(1, resources["decode_workers"] // resources["decode_nodes"])
    more = resources | {
        "decode_nodes": resources["decode_nodes"] + span,
        "decode_workers": resources["decode_workers"] + workers,
    }
    recipe = recipe | {"benchmark": recipe["benchmark"] | {"client_dedicated_node": False}}
    before, after = compiled(recipe), compiled(recipe | {"resources": more})
    if before is None or after is None:
        return
    event("both compile")
    assert prefill(before) == prefill(after)


def prefill(made: Plan) -> list[tuple[str, ...]]:
    """Everything that the prefill steps are started with."""
    return [
        (
            s.name,
            str(s.nodes),
            *(notation(w) for w in s.argv),
            *(f"{v.name}={notation(v.value)}" for v in s.env),
        )
        for s in made.steps
        if s.mode == "prefill"
    ]


@settings(max_examples=30)
@given(recipes())
def test_the_order_of_keys_does_not_show(recipe: Recipe) -> None:
    """The same recipe with its keys shuffled gives the same bundle, but for the checksum of the recipe itself."""
    first = compiled(recipe)
    second = compiled(shuffled(recipe))
    if first is None or second is None:
        assert first is second
        return
    assert files(first) == files(second)


def shuffled(value: Any) -> Any:
    """The same data, keys of mappings in another order; frontend args keep theirs, which is the flags' order."""
    if isinstance(value, dict):
        items = [(k, shuffled(v)) for k, v in value.items()]
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
