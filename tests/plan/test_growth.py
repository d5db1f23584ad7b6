"""A large job: the work grows with its processes, and what its steps have in common is there once."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest
from made import env, plan, recipe

from srtplan import pipeline


def wide(nodes: int) -> dict[str, Any]:
    """As many prefill as decode nodes, four workers on each."""
    resources = {"gpus_per_node": 4, "prefill_nodes": nodes, "prefill_workers": 4 * nodes,
                 "decode_nodes": nodes, "decode_workers": 4 * nodes}  # fmt: skip
    return recipe(
        resources=resources,
        environment={"HERE": "{node_id}", "SAME": "x"},
        frontend={"enable_multiple_frontends": False},
    )


def instructions(nodes: int) -> int:
    """Instructions of Python that compiling takes: the same number on every machine."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        count += event == "opcode"
        return trace

    data = wide(nodes)
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        pipeline.bundle(plan(data))
    finally:
        sys.settrace(before)
    return count


@pytest.mark.usefixtures("alone")
def test_work_is_linear_in_processes() -> None:
    """Eight nodes more cost twice as much as four nodes more; a loop over all processes for each would be seen."""
    instructions(1)  # what is done once per process
    four, eight, sixteen = (instructions(n) for n in (4, 8, 16))
    assert (sixteen - eight) / (eight - four) < 2.05


@pytest.mark.usefixtures("alone")
def test_steps_of_an_image_share_their_mounts() -> None:
    """Thousands of workers do not have thousands of lists of the same mounts."""
    workers = [s for s in plan(wide(2)).steps if s.stage == "worker"]
    assert len(workers) == 16
    assert len({id(s.mounts) for s in workers}) == 1


@pytest.mark.usefixtures("alone")
def test_what_is_shared_stays_with_its_job() -> None:
    """Two jobs planned by one process have each their own image, mounts and srun options."""
    for model in ("/models/a", "/models/b"):
        changes = {"path": model, "container": f"{model}.sqsh"}
        (step,) = (s for s in plan(recipe(model=changes)).steps if s.name == "decode_0")
        assert model in str(step.mounts)
        assert f"{model}.sqsh" in str(step.container)
        assert f"{model}.sqsh" in str(step.srun)


@pytest.mark.usefixtures("alone")
def test_a_variable_may_differ_by_node() -> None:
    """``{node_id}`` and ``{node}`` are those of the step, though other variables are shared."""
    made = plan(recipe(environment={"ID": "n{node_id}", "NAME": "{node}", "SAME": "{x}"}))
    found = [env(made, name) for name in ("prefill_0", "decode_0")]
    assert [e["ID"] for e in found] == ["n0", "n1"]
    assert [e["NAME"] for e in found] == ["${NODE[0]}", "${NODE[1]}"]
    assert {e["SAME"] for e in found} == {"{x}"}
