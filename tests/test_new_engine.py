"""``just new-engine NAME``: in a copy of the project, the new engine compiles, passes mypy and gets its golden files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from corpus import unavailable

ROOT = Path(__file__).parents[1]
NAME = "tiny-llm_2"
CASE = f"examples/{NAME}.yaml"
CLI = ("-c", "from srtplan.cli.start import main; main()")
Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project with a new engine."""
    folder = tmp_path_factory.mktemp("copy")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        unavailable(f"cannot list the project's files: {done.stderr.strip()}")
    for name in filter(None, done.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    assert run(folder, "tools/new_engine.py", NAME).stdout == f"srtplan/engines/tiny_llm__2.py\n{CASE}\n"
    return folder


def run(folder: Path, *argv: str, **env: str) -> Done:
    """Run Python in the copy, with the copy's package."""
    bin_ = Path(sys.executable).parent
    environ = {"PATH": f"{bin_}:{os.environ['PATH']}", "PYTHONPATH": str(folder), "HOME": str(folder)}
    return subprocess.run(
        [sys.executable, *argv], cwd=folder, env=environ | env, capture_output=True, text=True, check=False, timeout=300
    )  # fmt: skip


def test_compiles(copy: Path, tmp_path: Path) -> None:
    """The example's bundle starts the engine on the public port; a flag that srtplan sets is an error."""
    done = run(copy, *CLI, "compile", CASE, "-o", str(tmp_path / "bundle"))
    assert done.returncode == 0, done.stderr
    launcher = (tmp_path / "bundle" / "steps" / "agg_0.sh").read_text()
    assert f"{NAME} serve /model\n  --port 8000\n" in launcher
    assert "--tensor-parallel-size 8\n  --max-model-len 32768\n" in launcher
    assert "DYN_" not in launcher
    flag = f"backend.{NAME}_config.aggregated.port=1"
    refused = run(copy, *CLI, "check", CASE, "--set", flag)
    assert (refused.returncode, "error[SP502]" in refused.stderr) == (1, True)


def test_passes_mypy_and_ruff(copy: Path, tmp_path: Path) -> None:
    """The generated module passes unchanged."""
    module = "srtplan/engines/tiny_llm__2.py"
    cache = str(tmp_path / "cache")
    done = run(copy, "-m", "mypy", "--config-file", "pyproject.toml", "--cache-dir", cache, module)
    assert done.returncode == 0, done.stdout
    for command in ("check", "format --check"):
        lint = subprocess.run(
            [str(Path(sys.executable).parent / "ruff"), *command.split(), "--no-cache", module], cwd=copy, capture_output=True, text=True, check=False
        )  # fmt: skip
        assert lint.returncode == 0, lint.stdout
    assert len((copy / module).read_text().splitlines()) <= 50


def test_gets_its_golden_files(copy: Path) -> None:
    """The commands of `just golden NAME` write the plan of the example, and the engine's place in docs/reference/recipe.md."""
    recipes = re.findall(
        r"^    SRTPLAN_GOLDEN=rewrite \.venv/bin/(pytest .*)$", (ROOT / "justfile").read_text(), re.MULTILINE
    )
    assert len(recipes) == 2
    for recipe in recipes:
        words = recipe.replace('"{{case}}"', f"'test_golden_files and {NAME}'" if "-k" in recipe else "")
        done = subprocess.run(
            ["bash", "-c", f"{sys.executable} -m {words} -p no:cacheprovider"], cwd=copy, capture_output=True, text=True, check=False,
            env=os.environ | {"SRTPLAN_GOLDEN": "rewrite", "PYTHONPATH": str(copy), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    assert (
        f"serves     Qwen3-8B with {NAME}, none frontend" in (copy / "golden" / NAME / "plan.txt").read_text()
    )
    assert f"### {NAME}\n" in (copy / "docs" / "reference" / "recipe.md").read_text()


def test_is_rehearsed_to_success(copy: Path, tmp_path: Path) -> None:
    """The generated engine needs no changes for a rehearsal."""
    assert run(copy, *CLI, "compile", CASE, "-o", str(tmp_path / "bundle")).returncode == 0
    done = run(
        copy,
        "-m",
        "srtplan.cli.start",
        "rehearse",
        str(tmp_path / "bundle"),
        "-o",
        str(tmp_path / "runs"),
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "message"), [("Tiny", "usage: "), ("-x", "usage: "), ("../x", "usage: "), ("sglang", "exists")]
)
def test_rejects_an_invalid_name(copy: Path, name: str, message: str) -> None:
    """Paths and existing engines are rejected, and nothing is written."""
    before = sorted(copy.rglob("*.py"))
    done = run(copy, "tools/new_engine.py", name)
    assert done.returncode == 1
    assert message in done.stderr
    assert [p for p in sorted(copy.rglob("*.py")) if "__pycache__" not in p.parts] == [
        p for p in before if "__pycache__" not in p.parts
    ]
