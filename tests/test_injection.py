"""Injection into every string of a recipe and a profile (shell, YAML, Jinja, awk, nginx, #SBATCH, paths) has no effect."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import injection
import pytest
import shellcheck
import yaml
from injection import KEY, PAYLOADS, RECIPES, Document, Place, places, spoiled
from recording import Recording, check_launch, check_task

from srtplan import pipeline
from srtplan.cli.main import main
from srtplan.diagnostics import InputError

pytestmark = pytest.mark.slow
BARE: Document = {"dynamo": {"install": False}, "setup_script": None, "profiling": {}}
"""Sections to omit when launchers run, because they need files of the site or the network."""


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SRTSLURM_CONFIG", raising=False)


def compiled(
    document: Document, *, profile: Document | None = None, name: str = "r.yaml"
) -> pipeline.Planned | None:
    """Return the only job of a document; None if it is refused with positions and rules."""
    Path(name).write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")
    if profile is not None:
        Path("site.yaml").write_text(
            yaml.safe_dump(profile, sort_keys=False, allow_unicode=True), encoding="utf-8"
        )
    try:
        (only,) = pipeline.compile_recipe(name, cluster=Path("site.yaml") if profile is not None else None)
    except InputError as e:
        assert [p for p in e.report.errors if p.line < 1] == [], e
        return None
    return only


def accepted(document: Document, payload: str, *, as_profile: bool = False) -> list[Place]:
    """Return the places that accept a payload; all other places refuse it with a position."""
    found = []
    for place in places(document):
        made = spoiled(document, place, payload)
        plan = compiled(minimal_recipe(), profile=made) if as_profile else compiled(made)
        if plan is not None:
            found.append(place)
    return found


def minimal_recipe() -> Document:
    """Return a recipe that leaves to the profile whatever it can."""
    recipe = injection.sglang()
    for key in ("slurm", "env_from", "reporting", "sbatch_directives"):
        recipe.pop(key)
    return recipe


def everywhere(document: Document, found: list[Place], payload: str) -> Document:
    """Return the document with a payload at all of these places; keys last, because they change the path of their values."""
    for place in sorted(found, key=lambda p: (p[-1] == KEY, -len(p))):
        document = spoiled(document, place, payload)
    return document


def run(bundle: Path, folder: Path) -> Recording:
    """Run every launcher and check that each command gets the values of plan.json, and that shell and directives are valid."""
    files = [p for p in bundle.rglob("*") if p.suffix == ".sh" or p.name == "stop"]
    assert shellcheck.syntax(files) == ""
    directives = [line for line in (bundle / "job.sh").read_text().splitlines() if line.startswith("#SBATCH")]
    recording = Recording(bundle, folder)
    assert len(directives) == len(recording.plan["sbatch"])
    for step in recording.plan["steps"]:
        check_launch(recording, step)
        check_task(recording, step)
    return recording


def reads_all_data(bundle: Path) -> None:
    """Start job.sh without Slurm: it reads all its data before it stops, and leaves its run directory next to the bundle."""
    env = {"PATH": os.environ["PATH"], "HOME": str(bundle.parent)}
    done = subprocess.run(
        ["bash", bundle / "job.sh"], cwd=bundle.parent, env=env, capture_output=True, text=True, check=False, timeout=60
    )  # fmt: skip
    assert done.returncode in (70, 72), done.stderr


def texts(value: Any) -> list[str]:
    """Return every string of a plan, including keys."""
    if isinstance(value, str):
        return [value]
    inner = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for item in inner for text in texts(item)]


@pytest.mark.parametrize("kind", PAYLOADS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_text_is_data_or_refused(recipe: str, kind: str, tmp_path: Path) -> None:
    """Launchers pass accepted payloads on byte for byte, and never execute them."""
    canary = tmp_path / "canary"
    payload = PAYLOADS[kind].replace("CANARY", str(canary))
    document = RECIPES[recipe]() | BARE
    found = accepted(document, payload)
    made = everywhere(document, found, payload)
    planned = compiled(made)
    assert planned is not None, found
    out = tmp_path / "out"
    pipeline.write(pipeline.bundle(planned.plan), out / "b", out)
    reads_all_data(out / "b")
    recording = run(out / "b", tmp_path / "run")
    said = [recording.value(t) for t in texts(recording.plan)]
    said += [t for p in (out / "b" / "files").glob("*.yaml") for t in texts(yaml.safe_load(p.read_text()))]
    assert sum(payload in t for t in said) >= min(3, len(found)), (found, said)
    assert not canary.exists()
    assert {p.name for p in tmp_path.iterdir()} == {"out", "run", "r.yaml"}


@pytest.mark.parametrize("kind", PAYLOADS)
def test_a_text_of_the_profile(kind: str, tmp_path: Path) -> None:
    """The same for a cluster profile, except for its preamble, which is shell text."""
    canary = tmp_path / "canary"
    payload = PAYLOADS[kind].replace("CANARY", str(canary))
    profile = injection.profile()
    found = accepted(profile, payload, as_profile=True)
    planned = compiled(minimal_recipe() | BARE, profile=everywhere(profile, found, payload))
    assert planned is not None, found
    pipeline.write(pipeline.bundle(planned.plan), tmp_path / "out" / "b", tmp_path / "out")
    run(tmp_path / "out" / "b", tmp_path / "run")
    assert not canary.exists()
    assert {p.name for p in tmp_path.iterdir()} == {"out", "run", "r.yaml", "site.yaml"}


@pytest.mark.parametrize("kind", [k for k, v in PAYLOADS.items() if "/" not in v.replace("CANARY", "c")])
def test_the_name_of_the_recipe(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file name of a recipe is data, too: it is part of job.sh and names the folder of the bundle."""
    payload = PAYLOADS[kind].replace("CANARY", "canary")
    folder = tmp_path / "in"
    folder.mkdir()
    document = injection.mocker() | BARE
    for name in (f"a{payload}.yaml", "b.yaml"):
        (folder / name).write_text(yaml.safe_dump(document))
    with pytest.raises(SystemExit) as end:
        main(["compile", "in", "-o", "out"])
    said = capsys.readouterr().err
    if end.value.code:
        assert "control characters" in said
        assert not payload.isprintable()
        assert not (tmp_path / "out").exists()
        return
    bundles = [p.parent for p in (tmp_path / "out").rglob("MANIFEST.sha256")]
    assert sorted(p.name for p in bundles) == sorted(["b", f"a{payload}"])
    recording = run(tmp_path / "out" / f"a{payload}", tmp_path / "run")
    assert recording.plan["recipe"]["path"] == f"in/a{payload}.yaml"
    assert not list(tmp_path.rglob("canary"))
    assert {p.name for p in tmp_path.iterdir()} == {"in", "out", "run"}


@pytest.mark.parametrize("kind", PAYLOADS)
def test_the_name_of_a_variant(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A variant name is refused with a position, or its bundle stays below the output folder."""
    payload = PAYLOADS[kind].replace("CANARY", str(tmp_path / "canary"))
    document = {"base": injection.mocker() | BARE, "override_ok": {}, f"override_{payload}": {"name": "x"}}
    Path("r.yaml").write_text(yaml.safe_dump(document, allow_unicode=True))
    with pytest.raises(SystemExit) as end:
        main(["compile", "r.yaml", "-o", "deep/out"])
    said = capsys.readouterr().err
    if end.value.code:
        assert re.search(r"^r\.yaml:[1-9]\d*:[1-9]\d*: error\[SP", said, re.MULTILINE), said
    assert not (tmp_path / "canary").exists()
    assert {p.name for p in tmp_path.iterdir()} <= {"deep", "r.yaml"}
    assert {p.name for p in tmp_path.glob("deep/*")} <= {"out"}


def test_job_sh_does_not_execute_its_data(tmp_path: Path) -> None:
    """job.sh, started without Slurm, reads all its data and executes none of it."""
    canary = tmp_path / "canary"
    document = injection.sglang() | BARE
    for kind, text in PAYLOADS.items():
        payload = text.replace("CANARY", str(canary))
        made = everywhere(document, accepted(document, payload), payload)
        planned = compiled(made)
        assert planned is not None
        bundle = tmp_path / "out" / kind
        pipeline.write(pipeline.bundle(planned.plan), bundle, tmp_path / "out")
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        done = subprocess.run(
            ["bash", bundle / "job.sh"], env=env, capture_output=True, text=True, check=False, timeout=30
        )
        assert done.returncode in (70, 72), done.stderr
        assert not canary.exists(), kind
        json.loads((bundle / "plan.json").read_text())
