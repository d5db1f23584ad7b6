"""Golden cases: each recipe of examples/ has ``golden/<case>/plan.txt``; some have the whole bundle.

``just golden [case]`` rewrites them (it sets SRTPLAN_GOLDEN=rewrite); broken output is refused before it is compared.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import shellcheck

from srtplan import pipeline
from srtplan.ir.bundle import Bundle
from srtplan.plan.show import text

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "golden"
CASES = sorted(p.stem for p in (ROOT / "examples").glob("*.yaml"))
WHOLE = ("quickstart", "sglang-router-1p1d", "sglang-wide-ep")
REWRITE = os.environ.get("SRTPLAN_GOLDEN") == "rewrite"


@pytest.fixture(autouse=True)
def _at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("SRTSLURM_CONFIG", raising=False)


def compiled(case: str) -> pipeline.Planned:
    """The only job of an example."""
    (only,) = pipeline.compile_recipe(f"examples/{case}.yaml")
    return only


def shell_files(bundle: Bundle) -> list[str]:
    """Paths of the files that bash reads."""
    return [f.path for f in bundle.files if f.path.endswith(".sh") or f.path == "stop"]


def check_shell(bundle: Bundle, folder: Path, *, launchers: int | None = None) -> None:
    """``bash -n``, ShellCheck with the library followed (of so many launchers), shfmt: on the bundle as it is on disk."""
    files = shell_files(bundle)
    assert shellcheck.syntax(folder / f for f in files) == ""
    steps = [f for f in files if f.startswith("steps/")]
    assert shellcheck.with_library(folder, ["job.sh", "stop", *steps[:launchers]]) == ""
    assert shellcheck.alone([folder / f for f in steps]) == ""
    layout = ["shfmt", "-i", "2", "-ci", "-d", *files]
    done = subprocess.run(layout, cwd=folder, capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr == ""


def compare(path: Path, content: bytes) -> None:
    """The one place that compares or rewrites."""
    if REWRITE:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    assert path.is_file(), f"{path} is missing; `just golden` writes it"
    assert path.read_bytes().decode() == content.decode(), f"{path} differs; `just golden` rewrites it"


@pytest.mark.parametrize("case", CASES)
def test_plan_text(case: str) -> None:
    """The page of every example is the reviewed one."""
    compare(GOLDEN / case / "plan.txt", text.render(compiled(case).plan).encode())


@pytest.mark.parametrize("case", CASES)
def test_shell_is_clean(case: str, tmp_path: Path) -> None:
    """Every example's bundle passes bash -n, ShellCheck and shfmt."""
    bundle = pipeline.bundle(compiled(case).plan)
    pipeline.write(bundle, tmp_path / "b")
    check_shell(bundle, tmp_path / "b", launchers=1)


@pytest.mark.parametrize("case", WHOLE)
def test_whole_bundle(case: str, tmp_path: Path) -> None:
    """The bundle is the reviewed one, file by file, with none more and none less."""
    bundle = pipeline.bundle(compiled(case).plan)
    pipeline.write(bundle, tmp_path / "b")
    check_shell(bundle, tmp_path / "b", launchers=2)
    folder = GOLDEN / case / "bundle"
    for f in bundle.files:
        compare(folder / f.path, f.content)
    have = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    extra = have - {f.path for f in bundle.files}
    if REWRITE:
        for path in extra:
            (folder / path).unlink()
        extra = set()
    assert not extra


@pytest.mark.parametrize("case", CASES)
def test_same_input_same_bytes(case: str) -> None:
    """Rendering twice gives the same bytes, and no path of this machine is among them."""
    first, second = (pipeline.bundle(compiled(case).plan) for _ in range(2))
    assert first == second
    assert not any(str(ROOT).encode() in f.content for f in first.files)


def test_no_golden_without_a_case() -> None:
    """A golden folder whose example is gone is found."""
    assert {p.name for p in GOLDEN.iterdir() if p.is_dir()} - {"errors"} == set(CASES)
