"""The command starts with few imports and a garbage collector that rarely runs."""

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
PRINT_STATE = """
import atexit, gc, json, sys
print_state = lambda: print(json.dumps([sorted(sys.modules), gc.get_threshold()[0], gc.get_freeze_count()]), file=sys.__stdout__)
atexit.register(print_state)
sys.argv[0] = "srtplan"
from srtplan.cli.start import main
main()
"""


class Process:
    """A finished run of ``srtplan ARGS``: its exit code, its imports and the settings of its garbage collector."""

    def __init__(self, *args: object) -> None:
        argv = [sys.executable, "-c", PRINT_STATE, *map(str, args)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        self.code, self.prose = done.returncode, done.stderr
        self.modules, self.threshold, self.frozen = json.loads(done.stdout.splitlines()[-1])


def test_a_check_imports_only_what_it_needs() -> None:
    """A check imports neither templates, queue and results nor plugins that the recipe does not use."""
    process = Process("check", EXAMPLE)
    assert process.code == 0, process.prose
    assert [m for m in process.modules if m in HEAVY] == []
    engines = [m for m in process.modules if m.startswith("srtplan.engines.") and "._" not in m]
    assert len(engines) == 1
    assert {"srtplan.plan.verify", "cattrs", "yaml"} <= set(process.modules)


def test_a_hint_about_another_type_searches_no_other_distributions(tmp_path: Path) -> None:
    """The hint names built-in types that have the key, without loading plugins of other distributions."""
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
def test_the_garbage_collector_rarely_runs(args: tuple[object, ...]) -> None:
    """The thresholds apply from the first import to the end, whatever the exit code is."""
    process = Process(*args)
    assert process.code == (0 if EXAMPLE in args else 1 if "check" in args else 2)
    assert process.threshold >= 50_000
    assert process.frozen > 10_000


def test_the_installed_script_starts_the_command() -> None:
    """The entry point is ``srtplan.cli.start:main``, which sets up the garbage collector."""
    (script,) = entry_points(group="console_scripts", name="srtplan")
    assert script.value == "srtplan.cli.start:main"
