"""The Plan is total: no field of it is without effect on what runs.

Every field of a Plan that uses everything is changed in turn, and a byte of job.sh, of a step or of a file must change. The
fields that only inform readers are listed, each with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import pytest
from attrs import evolve
from made import plan, recipe

from srtplan.bundle.render import MANIFEST, render
from srtplan.diagnostics import InternalError
from srtplan.ir.data import Map
from srtplan.ir.plan import Plan, Step
from srtplan.ir.recipe import Restart
from srtplan.ir.shell import Cat, Lit, Ref, word

INFORMATIVE = {
    "Source.sha256": "identifies the recipe in plan.json and in the records of a submission",
    "Nodes": "the roles of the nodes; steps, addresses and checks are made from them (components are in job.sh)",
    "Plan.endpoints": "as Endpoint",
    "Plan.processes": "as Process",
    "Endpoint": "the topology; argv, environment and ports are made from it",
    "Process": "the topology; argv, environment and ports are made from it",
    "BenchmarkPlan": "what files/benchmark.tsv says, for programs that read plan.json",
    "Run.facts": "what files/benchmark.tsv says of a run, for programs that read plan.json",
    "Container": "what the srun options of the step mean; verify compares them",
    "Mount": "what the srun options of the step mean; verify compares them",
    "Step.container": "as Container",
    "Step.mounts": "as Mount",
    "Step.rank": "the topology",
    "StandIn": "what a rehearsal runs instead; nothing of it runs in a job",
    "Step.stand_in": "as StandIn",
    "Run.stand_in": "as StandIn",
}
"""Classes and fields that change nothing but plan.json and plan.txt, and why."""


def everything() -> Plan:
    """A Plan in which no field has its default value."""
    made = plan(
        recipe(
            "trtllm",
            resources={"prefill_workers": 2},
            backend={"sequential_node_start": 1},
            env_from=["HF_TOKEN"],
            model={"stage_dir": "/raid/models"},
            reporting={"status": {"endpoint": "https://dash.example"}},
        )
    )
    extra = {
        "restart": Restart(policy="always"),
        "stop_signal": "INT",
        "preamble": ((Lit("setup::script"), Lit("a.sh")),),
    }
    worker = next(s for s in made.steps if s.stage == "worker")
    steps = tuple(evolve(s, **extra) if s is worker else s for s in made.steps)
    return evolve(made, steps=steps, network_interface="eth0", output_base="/runs", export=("NONE",))


def rendered(made: Plan) -> dict[str, bytes] | None:
    """What runs: every file but those for readers; None if such a Plan cannot be rendered, which is an effect."""
    try:
        return {f.path: f.content for f in render(made).files if f.path != MANIFEST}
    except InternalError:
        return None


def changed(value: object) -> Iterator[object]:
    """Other values of the same type."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, str):
        yield value + "x" if value else "x"
    elif isinstance(value, Lit | Ref | Cat):
        yield word(value, "x")
    elif isinstance(value, Map):
        yield Map((*value.pairs, ("x", 1)))
    elif isinstance(value, tuple):
        yield value[:-1] if value else None
    elif value is None:
        yield None


CHOICES: dict[str, object] = {
    "Step.stage": "frontend",
    "Probe.type": "http",
    "Action.verb": "await_end",
    "PreflightCheck.kind": "any",
    "Restart.policy": "on-failure",
    "Run.client": "vllm",
    "SrunOption.name": "other-option",
    "Plan.sbatch": ("--job-name=x",),
}
"""Another value where not every text will do."""


def mutations(made: object) -> Iterator[tuple[str, object]]:
    """Each field of each object below, as ``Class.field``, with the whole object in which that field is another."""
    kind = type(made)
    for field in attrs.fields(kind):
        if not field.init or field.name.startswith("_"):
            continue
        label, value = f"{kind.__name__}.{field.name}", getattr(made, field.name)
        for other in [CHOICES[label]] if label in CHOICES else changed(value):
            if other is not None and other != value:
                yield label, evolve(made, **{field.name: other})
        for label_, inner in _inside(value):
            yield label_, evolve(made, **{field.name: inner})


def _inside(value: object) -> Iterator[tuple[str, object]]:
    words = (Lit, Ref, Cat, Map)
    if attrs.has(type(value)) and not isinstance(value, words):
        yield from mutations(value)
    elif isinstance(value, tuple):
        seen: set[str] = set()
        for n, item in enumerate(value):
            if attrs.has(type(item)) and not isinstance(item, words):
                for label, other in mutations(item):
                    if label in seen and type(item) is not Step:
                        continue
                    seen.add(label)
                    yield label, (*value[:n], other, *value[n + 1 :])


def is_informative(label: str) -> bool:
    """The field is on the list, or its class is."""
    return label in INFORMATIVE or label.partition(".")[0] in INFORMATIVE


@pytest.mark.usefixtures("alone")
def test_every_field_has_an_effect() -> None:
    """A field that changes nothing anywhere in the Plan is dead; one that is listed and has an effect is listed by mistake."""
    made = everything()
    before = rendered(made)
    assert before is not None
    effects: dict[str, bool] = {}
    for label, other in mutations(made):
        assert isinstance(other, Plan)
        effects[label] = effects.get(label, False) or rendered(other) != before
    dead = sorted(
        label for label, has_effect in effects.items() if not has_effect and not is_informative(label)
    )
    assert dead == []
    fields = {label for label in INFORMATIVE if "." in label}
    assert sorted(label for label in fields if effects.get(label)) == []
    assert {
        "Gate.interval_s",
        "Gate.timeout_s",
        "Probe.gate",
        "Action.subject",
        "Step.srun",
        "Plan.warning_s",
    } <= set(effects)
