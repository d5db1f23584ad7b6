"""``examples/plugin``, a package with an engine and a benchmark: installed, checked, compiled, rehearsed; then broken.

A broken plugin is an error at the recipe's ``type`` that names its distribution; an unused one has no effect.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from corpus import unavailable

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "examples" / "plugin"
RECIPE = PACKAGE / "lmdeploy.yaml"
ENGINE = "srtplan_extras/lmdeploy.py"
CLI = [sys.executable, "-c", "from srtplan.cli.start import main; main()"]
Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory for PYTHONPATH with the installed package."""
    if find_spec("hatchling") is None:
        unavailable("hatchling, which builds the package, is not installed: pip install '.[dev]'")
    source, site = tmp_path_factory.mktemp("source") / "plugin", tmp_path_factory.mktemp("site")
    shutil.copytree(PACKAGE, source)
    # --no-compile: a module edited within a second to the same size would still run from its old .pyc.
    options = (
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--no-compile",
    )
    subprocess.run([sys.executable, "-m", "pip", "install", *options, "--target", site, source], check=True)
    return site


@pytest.fixture
def site(installed: Path, tmp_path: Path) -> Path:
    """Return a copy of the installation that a test can modify."""
    return Path(shutil.copytree(installed, tmp_path / "site"))


def srtplan(site: Path, *argv: str | Path, cwd: Path | None = None) -> Done:
    """Run srtplan with the package installed."""
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}:{site}",
        "HOME": str(site),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    words = [*CLI, *map(str, argv)]
    return subprocess.run(
        words, cwd=cwd or site, env=env, capture_output=True, text=True, check=False, timeout=200
    )


def edited(site: Path, old: str, new: str, *, module: str = ENGINE) -> Path:
    """Edit a module of the installation."""
    path = site / module
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return site


def test_compiles(installed: Path, tmp_path: Path) -> None:
    """The worker serves on the public port without Dynamo's variables or ports; the report has a reader."""
    done = srtplan(installed, "compile", RECIPE, "-o", tmp_path / "bundle")
    assert done.returncode == 0, done.stderr
    launcher = (tmp_path / "bundle" / "steps" / "agg_0.sh").read_text()
    assert "lmdeploy serve api_server /model\n  --server-port 8000\n" in launcher
    assert "DYN_" not in launcher + (tmp_path / "bundle" / "steps" / "benchmark.sh").read_text()
    plan = json.loads((tmp_path / "bundle" / "plan.json").read_text())
    assert [list(p["ports"]) for p in plan["processes"]] == [["http"]]
    assert [(p["type"], p["port"], p["path"]) for p in plan["probes"]] == [("http", 8000, "/health")]
    assert "read_report" in (tmp_path / "bundle" / "files" / "readers" / "guidellm.awk").read_text()


def test_compiles_behind_the_sglang_router(installed: Path, tmp_path: Path) -> None:
    """The router gets each worker's own port, which the preflight checks; separate prefill and decode workers are an error."""
    router = ("--set", "frontend.type=sglang", "--set", "resources.agg_workers=2")
    done = srtplan(installed, "compile", RECIPE, *router, "-o", tmp_path / "bundle")
    assert done.returncode == 0, done.stderr
    assert "http://${IP[0]}:30001" in (tmp_path / "bundle" / "steps" / "router_0.sh").read_text()
    preflight = (tmp_path / "bundle" / "files" / "preflight.tsv").read_text()
    assert "port\t30001\t0\tagg_1" in preflight
    disaggregated = {
        "agg_nodes": 0,
        "agg_workers": 0,
        "prefill_nodes": 1,
        "prefill_workers": 1,
        "decode_nodes": 1,
        "decode_workers": 1,
    }
    sets = [w for key, n in disaggregated.items() for w in ("--set", f"resources.{key}={n}")]
    done = srtplan(installed, "check", RECIPE, "--set", "frontend.type=sglang", *sets)
    assert done.returncode == 1
    assert (
        "--set frontend.type=sglang: error[SP604]: the SGLang router does not support separate" in done.stderr
    )


def test_is_rehearsed_to_success(installed: Path, tmp_path: Path) -> None:
    """The declared stand-ins run, and the figures of the report are in the summary."""
    bundle, runs = tmp_path / "bundle", tmp_path / "runs"
    assert srtplan(installed, "compile", RECIPE, "-o", bundle).returncode == 0
    done = srtplan(installed, "rehearse", bundle, "-o", runs)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = runs.glob("*/attempt_0/results/summary.json")
    records = json.loads(path.read_text())["runs"]
    assert [run["status"] for run in records] == ["ok", "ok"]
    assert all(run["output_tokens"] > 0 and run["e2e_ms_mean"] > 0 for run in records)


def test_an_engine_is_one_short_file() -> None:
    """A new engine fits in 50 lines."""
    assert len((PACKAGE / ENGINE).read_text().splitlines()) <= 50


SLIPS = {
    "misspelt": (
        "def check(", "def chekc(", "Engine 'lmdeploy' has no member 'chekc'; did you mean 'check'?",
        'Method "chekc" is marked as an override, but no base method was found',
    ),
    "missing": (
        "def command(", "def _command(", "Engine 'lmdeploy' lacks the required member 'command'",
        'Cannot instantiate abstract class "LMDeploy" with abstract attribute "command"',
    ),
    "fact": (
        'name="lmdeploy"', 'name="lmdeploy", intefaces=("openai",)', "unexpected keyword argument 'intefaces'",
        'Unexpected keyword argument "intefaces"',
    ),
    "nameless": (
        '(Engine[NoOptions], name="lmdeploy")', "(Engine[NoOptions])", "missing 1 required keyword-only argument: 'name'",
        'Missing named argument "name"',
    ),
    "text": (
        'name="lmdeploy"', 'name="lmdeploy", interfaces="openai"', "interfaces of LMDeploy must be a tuple of names, not 'openai'",
        'Argument "interfaces" to "__init_subclass__" of "Engine" has incompatible type "str"',
    ),
}  # fmt: skip
"""An edit of the engine, the error when loading it, and mypy's error."""
MORE_SLIPS = {
    "class": ("PLUGIN = LMDeploy()", "PLUGIN = LMDeploy", "PLUGIN is the class LMDeploy; write PLUGIN = LMDeploy()"),
    "other": ("PLUGIN = LMDeploy()", "PLUGIN = {}", "PLUGIN is of type dict, not a subclass of Engine"),
    "nothing": ("PLUGIN = LMDeploy()", "", "has no attribute 'PLUGIN'"),
    "renamed": ('name="lmdeploy"', 'name="lm-deploy"', "PLUGIN is named 'lm-deploy', not 'lmdeploy'"),
    "import": ("from srtplan import flags", "import no_such_module", "No module named 'no_such_module'"),
    "syntax": ("class LMDeploy", "clas LMDeploy", "SyntaxError"),
    "exit": ("PLANNED = {", "raise SystemExit(3)\nPLANNED = {", "SystemExit: 3"),
    "no method": ("    @override\n    def check(", "    shape = 3\n\n    @override\n    def check(", "'shape' of Engine 'lmdeploy' must be a method"),
}  # fmt: skip


@pytest.mark.parametrize("slip", [*SLIPS, *MORE_SLIPS])
def test_a_broken_plugin_is_an_error_that_names_its_distribution(site: Path, slip: str) -> None:
    """Every kind of broken plugin exits with 1 and an error at the line of the type."""
    old, new, message, *_ = (SLIPS | MORE_SLIPS)[slip]  # type: ignore[operator]
    done = srtplan(edited(site, old, new), "check", RECIPE)
    assert done.returncode == 1, done.stderr
    assert (
        "lmdeploy.yaml:19:9: error[SP116]: engine 'lmdeploy' of srtplan-extras 0.1.0 is broken: "
        in done.stderr
    )
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr


def test_a_broken_plugin_that_no_recipe_uses_has_no_effect(site: Path, tmp_path: Path) -> None:
    """Neither a valid recipe is affected, nor the hints for an invalid one, which load all plugins."""
    edited(site, "from srtplan import flags", "import no_such_module")
    edited(site, "from attrs import frozen", "import no_such_module", module="srtplan_extras/guidellm.py")
    assert srtplan(site, "check", ROOT / "examples" / "quickstart.yaml").returncode == 0
    text = (ROOT / "examples" / "quickstart.yaml").read_text()
    (tmp_path / "r.yaml").write_text(text.replace("type: sa-bench", "type: sa-bench\n  no_such_key: 1"))
    done = srtplan(site, "check", tmp_path / "r.yaml")
    assert done.returncode == 1
    assert "no_such_module" not in done.stderr
    assert "no_such_key" in done.stderr


def test_a_service_that_is_not_installed_is_an_error(site: Path) -> None:
    """The error is at the type that needs the service."""
    service = '    @override\n    def services(self, recipe: Recipe) -> tuple[str, ...]:\n        return ("redis",)\n\n'
    done = srtplan(
        edited(site, "    @override\n    def check(", f"{service}    @override\n    def check("),
        "check",
        RECIPE,
    )
    assert done.returncode == 1
    assert (
        "lmdeploy.yaml:19:9: error[SP114]: lmdeploy needs the service 'redis', which is not installed"
        in done.stderr
    )


@pytest.mark.parametrize(("offset", "first"), [(0, 24000), (100, 24100)])
def test_port_offset_shifts_ports_with_a_base_of_the_plugin(site: Path, offset: int, first: int) -> None:
    """A kind of port that is not in the profile takes its first number from the plugin."""
    ports = (
        "    @override\n    def ports(self, recipe: Recipe, role: Role) -> tuple[Port, ...]:\n"
        '        return (Port(kind="http"), Port(kind="dist", scope="worker", base=24000, block=2))\n\n'
    )
    edited(site, "import Command, Engine", "import Port, Role, Command, Engine")
    edited(site, "    @override\n    def check(", f"{ports}    @override\n    def check(")
    done = srtplan(site, "compile", RECIPE, "-o", "bundle", "--port-offset", (offset and str(offset)) or "0")
    assert done.returncode == 0, done.stderr
    (process,) = json.loads((site / "bundle" / "plan.json").read_text())["processes"]
    assert process["ports"]["dist"] == first
    assert f"port\t{first + 1}\t0\tagg_0" in (site / "bundle" / "files" / "preflight.tsv").read_text()


def test_mypy_reports_what_loading_reports(site: Path, tmp_path: Path) -> None:
    """The package passes mypy's strict mode; each slip in a copy of its engine is an error there."""
    for name, (old, new, *_) in SLIPS.items():
        (site / "srtplan_extras" / f"{name}.py").write_text((site / ENGINE).read_text().replace(old, new))
    command = [
        *(sys.executable, "-m", "mypy", "--strict", "--enable-error-code", "explicit-override", "--python-version", "3.10"),
        *("--cache-dir", str(tmp_path / "cache"), "-p", "srtplan_extras"),
    ]  # fmt: skip
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{site}"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    found = [line for line in done.stdout.splitlines() if ": error:" in line]
    for name, (*_, message) in SLIPS.items():
        assert any(f"{name}.py" in line and message in line for line in found), (name, done.stdout)
    assert not [line for line in found if Path(line.partition(":")[0]).stem not in SLIPS]
