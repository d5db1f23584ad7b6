"""Options of compile for shared nodes: --port-offset and --no-preflight."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import asdict

from srtplan import pipeline
from srtplan.cli.main import main
from srtplan.diagnostics import InputError
from srtplan.plan.topology.port_offset import FIXED

RECIPE = str(Path(__file__).parents[2] / "examples" / "mocker-disagg.yaml")


def ports(plan: pipeline.Planned) -> set[tuple[int, int]]:
    """(node, port) of everything that listens or is probed."""
    made = plan.plan
    found = {(probe.node, probe.port) for probe in made.probes}
    found |= {(check.nodes[0], int(check.subject)) for check in made.preflight if check.kind == "port"}
    return found | {(p.node, port) for p in made.processes for _, port in p.ports}


def test_two_jobs_with_different_offsets_share_no_port() -> None:
    """Every port moves by the offset: services, workers, frontends, nginx, probes."""
    (plain,) = pipeline.compile_recipe(RECIPE)
    (moved,) = pipeline.compile_recipe(RECIPE, options=pipeline.Options(port_offset=100))
    assert {(node, port + 100) for node, port in ports(plain)} == ports(moved)
    texts = [
        file.content.decode() for file in pipeline.bundle(moved.plan).files if file.path.startswith("steps/")
    ]
    for old in (4222, 2379, 2380):
        assert not any(f":{old}" in text or f" {old}" in text for text in texts), old


def test_ports_of_the_recipe_stay_and_are_named(tmp_path: Path) -> None:
    """A port set in the recipe is not moved, and a warning names it and its place."""
    text = (
        "name: case\nmodel: {path: /models/m, container: /images/i.sqsh, precision: fp8}\n"
        "resources: {gpu_type: h100, gpus_per_node: 8, prefill_nodes: 1, prefill_workers: 1, decode_nodes: 1, decode_workers: 1}\n"
        "backend:\n  type: sglang\n  decode_extra_args: [--engine-metrics-port, '9000', --x=1]\n  sglang_config:\n"
        "    prefill:\n      disaggregation-bootstrap-port: 30001\n      port-check: 1\n"
        "frontend: {args: {metrics_port: 9100, ports: 3}}\n"
    )
    recipe = tmp_path / "case.yaml"
    recipe.write_text(text)
    (plain,) = pipeline.compile_recipe(str(recipe))
    assert list(plain.report) == []
    (moved,) = pipeline.compile_recipe(str(recipe), options=pipeline.Options(port_offset=100))
    assert [(p.rule, p.severity, p.line) for p in moved.report] == [
        ("SP419", "warning", n) for n in (6, 9, 11)
    ]
    assert "'disaggregation-bootstrap-port: 30001'" in moved.report.render()
    assert {p.port("bootstrap") for p in moved.plan.processes if p.mode == "prefill"} == {30001}


@pytest.mark.parametrize("offset", [-5000, 30000])
def test_an_offset_that_leaves_the_range_is_refused(offset: int) -> None:
    """The message names the option, the port and what is allowed."""
    with pytest.raises(InputError, match=f"--port-offset {offset}"):
        pipeline.compile_recipe(RECIPE, options=pipeline.Options(port_offset=offset))


def test_every_field_of_the_table_is_moved_or_known_to_stay() -> None:
    """A new kind of port is moved, too."""
    (plain,) = pipeline.jobs(RECIPE)
    table = asdict(plain.recipe.site.ports)
    assert set(FIXED) < set(table)
    assert all(value > 1024 for name, value in table.items() if name not in FIXED)


def test_compile_without_preflight(tmp_path: Path) -> None:
    """The table of checks is empty; addresses are still asked of every node."""
    with pytest.raises(SystemExit) as end:
        main(["compile", RECIPE, "-o", str(tmp_path / "b"), "--no-preflight", "--port-offset", "7"])
    assert end.value.code == 0
    plan = json.loads((tmp_path / "b" / "plan.json").read_text())
    assert plan["preflight"] == []
    assert (tmp_path / "b" / "files" / "preflight.tsv").read_text() == ""
    assert {probe["port"] for probe in plan["probes"]} >= {4229, 2386}
