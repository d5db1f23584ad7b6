"""Golden cases: each recipe of examples/ has ``golden/<case>/plan.txt``; some have a bundle without its static files.

``just golden [case]`` rewrites them (it sets SRTPLAN_GOLDEN=rewrite); broken output is refused before it is compared.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import goldens
import pytest
import shellcheck
from goldens import CASES, ROOT, WHOLE

from srtplan import pipeline
from srtplan.bundle.render import MANIFEST
from srtplan.ir.bundle import Bundle
from srtplan.ir.shell import notation

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


def compare(case: str, files: dict[str, bytes]) -> None:
    """Compare or rewrite the golden files of a case: these, with none more and none less."""
    folder = goldens.FOLDER / case
    if REWRITE:
        rewrite(folder, files)
    stored = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    for path, content in files.items():
        assert path in stored, f"{folder / path} is missing; `just golden` writes it"
        same = stored[path].read_bytes().decode() == content.decode()
        assert same, f"{folder / path} differs; `just golden` rewrites it"
    assert set(stored) == set(files), "`just golden` removes files that no bundle has"


def rewrite(folder: Path, files: dict[str, bytes]) -> None:
    """Replace all golden files of a case."""
    shutil.rmtree(folder, ignore_errors=True)
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


@pytest.mark.parametrize("case", CASES)
def test_golden_files(case: str, tmp_path: Path) -> None:
    """A bundle passes bash -n, ShellCheck and shfmt, and its golden files are the reviewed ones."""
    bundle = pipeline.bundle(compiled(case).plan)
    pipeline.write(bundle, tmp_path / "b")
    check_shell(bundle, tmp_path / "b", launchers=2 if case in WHOLE else 1)
    compare(case, goldens.files(case, bundle))


@pytest.mark.parametrize("case", CASES)
def test_static_files_are_the_templates(case: str) -> None:
    """``lib/`` and ``stop`` of a bundle are ``templates/lib`` and ``templates/stop``, byte for byte."""
    bundle = pipeline.bundle(compiled(case).plan)
    found = {f.path: f.content for f in bundle.files if goldens.is_static(f.path)}
    root = ROOT / "templates"
    library = {str(p.relative_to(root)): p.read_bytes() for p in (root / "lib").rglob("*") if p.is_file()}
    assert found == library | {"stop": (ROOT / "templates" / "stop").read_bytes()}


@pytest.mark.parametrize("case", CASES)
def test_digests_that_golden_files_leave_out(case: str) -> None:
    """MANIFEST.sha256 lists every other file, and ``plan.json`` the recipe and its files, each with its digest."""
    plan = compiled(case).plan
    files = {f.path: f.content for f in pipeline.bundle(plan).files}
    lines = files.pop(MANIFEST).decode().splitlines()
    assert lines == [f"{sha256(files[path])}  {path}" for path in sorted(files)]
    stored = json.loads(files["plan.json"])
    assert stored["recipe"]["sha256"] == sha256((ROOT / "examples" / f"{case}.yaml").read_bytes())
    assert {f["path"]: f["sha256"] for f in stored["files"]} == {
        f.path: sha256(notation(f.text).encode()) for f in plan.files
    }
    assert files["plan.json"].count(b'"sha256"') == 1 + len(plan.files)


def sha256(content: bytes) -> str:
    """The digest in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("case", CASES)
def test_same_input_same_bytes(case: str) -> None:
    """Rendering twice gives the same bytes, and no path of this machine is among them."""
    first, second = (pipeline.bundle(compiled(case).plan) for _ in range(2))
    assert first == second
    assert not any(str(ROOT).encode() in f.content for f in first.files)


def test_no_golden_without_a_case() -> None:
    """A golden folder whose example is gone is found."""
    assert {p.name for p in goldens.FOLDER.iterdir() if p.is_dir()} - {"errors"} == set(CASES)
