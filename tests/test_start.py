"""How the command starts: with little imported, and a collector that seldom looks."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1] / "examples" / "quickstart.yaml"
HEAVY = {
    "jinja2", "difflib", "email", "importlib.metadata", "ruamel", "matplotlib", "srtplan.bundle",
    "srtplan.rehearsal", "srtplan.results", "srtplan.submit", "srtplan.config.layouts.v2", "srtplan.config.layouts.v2_sections",
}  # fmt: skip
TELLS = """
import atexit, gc, json, sys
tell = lambda: print(json.dumps([sorted(sys.modules), gc.get_threshold()[0], gc.get_freeze_count()]), file=sys.__stdout__)
atexit.register(tell)
sys.argv[0] = "srtplan"
from srtplan.cli.start import main
main()
"""


class Process:
    """``srtplan ARGS`` run to its end: its exit code, what was imported, and how its collector was set."""

    def __init__(self, *args: object) -> None:
        argv = [sys.executable, "-c", TELLS, *map(str, args)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        self.code, self.prose = done.returncode, done.stderr
        self.modules, self.threshold, self.frozen = json.loads(done.stdout.splitlines()[-1])


def test_a_check_imports_only_what_it_needs() -> None:
    """No templates, no queue, no results, no other plugins than those of the recipe."""
    process = Process("check", EXAMPLE)
    assert process.code == 0, process.prose
    assert [m for m in process.modules if m in HEAVY] == []
    engines = [m for m in process.modules if m.startswith("srtplan.engines.") and "._" not in m]
    assert len(engines) == 1
    assert {"srtplan.plan.verify", "cattrs", "yaml"} <= set(process.modules)


def test_a_key_of_another_type_does_not_look_for_other_distributions(tmp_path: Path) -> None:
    """The hint names our own types that read the key, at no further cost."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "name: x\nmodel: {path: /m, container: /i, precision: fp8}\nbackend: {type: sglang}\n"
        "resources: {gpu_type: h100, gpus_per_node: 8, agg_nodes: 1, agg_workers: 1}\n"
        "benchmark: {type: manual, concurrencies: '4'}\n"
    )
    process = Process("check", recipe)
    assert process.code == 0, process.prose
    assert "it is an option of sa-bench" in process.prose
    assert "importlib.metadata" not in process.modules


@pytest.mark.parametrize("args", [("check", EXAMPLE), ("check", "no such file"), ("--no-such-option",)])
def test_the_collector_seldom_looks(args: tuple[object, ...]) -> None:
    """From the first import to the end, however it ends."""
    process = Process(*args)
    assert process.code == (0 if EXAMPLE in args else 1 if "check" in args else 2)
    assert process.threshold >= 50_000
    assert process.frozen > 10_000


def test_the_command_starts_there() -> None:
    """The installed script calls it."""
    (script,) = entry_points(group="console_scripts", name="srtplan")
    assert script.value == "srtplan.cli.start:main"
