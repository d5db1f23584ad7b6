"""Secrets: env_from in recipe or profile names them, and their values stand nowhere but in the environment of its steps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from attrs import frozen
from breakable import RECIPE, SMALL, quick
from trials import Trial

from srtplan import pipeline
from srtplan.diagnostics import InputError

SECRET = "hf_planted$(id)'secret=="  # noqa: S105 -- planted to be looked for
WITH = {"prefill_0", "decode_0", "frontend_0"}
WITHOUT = {"nats", "etcd", "nginx"}
JOB = "job.sh"


@frozen(kw_only=True)
class Seen:
    """A process: the step that it belongs to (its launcher and srun included), or job.sh; and what it was started with."""

    step: str
    argv: bytes
    environ: bytes


def look(trial: Trial) -> list[Seen]:
    """All processes of the job that run now."""
    out = []
    for pid in trial.cluster.leftovers():
        try:
            argv = Path(f"/proc/{pid}/cmdline").read_bytes()
            environ = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        named = re.search(rb"--job-name=(\w+)", argv) or re.search(rb"/steps/(\w+)\.sh", argv)
        named = named or re.search(rb"(?:^|\0)SRT_STEP=(\w+)", environ)
        step = (
            named[1].decode() if named else JOB if b"slurm_script" in argv else argv.decode(errors="replace")
        )
        out.append(Seen(step=step, argv=argv, environ=environ))
    return out


@pytest.mark.parametrize("trace", [False, True], ids=["quiet", "traced"])
@pytest.mark.parametrize("origin", ["recipe", "profile", "file"])
def test_a_planted_secret_is_found_in_no_artefact(origin: str, trace: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """Not in bundle, plan, logs, events, results, argv of any process, scontrol's record; only the steps that it is for have it.

    With SHELLOPTS=xtrace all of the bundle's shell is traced into its logs.
    """
    site, file = tmp_path / "site.yaml", tmp_path / "my secrets"
    site.write_text(
        {"recipe": "output_dir: null\n", "profile": "env_from: [HF_TOKEN]\n"}.get(
            origin, f"env_from: [HF_TOKEN]\nsecrets_file: {file}\n"
        )
    )
    file.write_text(f"HF_TOKEN={SECRET}\n")
    file.chmod(0o600)
    sets = (*SMALL, "benchmark.type=manual", *(("env_from=[HF_TOKEN]",) if origin == "recipe" else ()))
    (made,) = pipeline.compile_recipe(RECIPE, cluster=site, sets=sets)
    assert {step.name for step in made.plan.steps if step.env_from == ("HF_TOKEN",)} == WITH
    assert {step.name for step in made.plan.steps if step.env_from == ()} == WITHOUT
    pipeline.write(pipeline.bundle(quick(made.plan)), tmp_path / "bundle")
    env = {} if origin == "file" else {"HF_TOKEN": SECRET}
    with Trial(
        tmp_path / "bundle", tmp_path / "trial", env=env | ({"SHELLOPTS": "xtrace"} if trace else {})
    ) as trial:
        trial.reach("serving")
        trial.until_running(*WITH, *WITHOUT)
        shown = trial.cluster.run(["scontrol", "show", "job", "-o", str(trial.job.number)]).stdout
        seen = look(trial)
        trial.stop()
        outcome = trial.wait()
    pair = f"HF_TOKEN={SECRET}".encode()
    have = {process.step for process in seen if pair in process.environ}
    lack = {process.step for process in seen if pair not in process.environ}
    # Slurm starts job.sh itself with what the submitter has exported; nothing that job.sh starts has it from there
    assert have - {JOB} == WITH
    assert (JOB in have) == (origin != "file")
    assert lack >= WITHOUT
    assert lack & WITH == set()
    assert [process.argv for process in seen if b"hf_planted" in process.argv] == []
    assert ("+ environ::take_secrets" in outcome.log) == trace
    assert "hf_planted" not in shown + outcome.log
    files = [p for folder in ("bundle", "trial/out") for p in (tmp_path / folder).rglob("*") if p.is_file()]
    assert len(files) > 30
    assert [p for p in files if b"hf_planted" in p.read_bytes()] == []


def test_a_whole_run_in_the_safe_mode_leaves_no_secret(tmp_path: Path) -> None:
    """With --export=NONE and all of it traced the job measures to its end, and no result, log or copy of the bundle has a value."""
    file = tmp_path / "keys"
    file.write_text(f"HF_TOKEN={SECRET}\n")
    file.chmod(0o600)
    site = tmp_path / "site.yaml"
    site.write_text(
        f"env_from: [HF_TOKEN]\nsecrets_file: {file}\ndefault_sbatch_directives: {{export: NONE}}\n"
    )
    (made,) = pipeline.compile_recipe(RECIPE, cluster=site, sets=SMALL)
    pipeline.write(pipeline.bundle(quick(made.plan)), tmp_path / "bundle")
    with Trial(
        tmp_path / "bundle", tmp_path / "trial", env={"SHELLOPTS": "xtrace", "UNDECLARED": "leak"}
    ) as trial:
        trial.reach("benchmark")
        trial.until_running("benchmark")
        seen = look(trial)
        outcome = trial.wait()
    assert outcome.code == 0, outcome.log
    steps = [process for process in seen if process.step in WITH | WITHOUT | {"benchmark"}]
    assert {process.step for process in steps} == WITH | WITHOUT | {"benchmark"}
    assert [process.step for process in steps if b"UNDECLARED" in process.environ] == []
    pair = f"HF_TOKEN={SECRET}".encode()
    assert {process.step for process in seen if pair in process.environ} == WITH | {"benchmark"}
    files = [p for folder in ("bundle", "trial/out") for p in (tmp_path / folder).rglob("*") if p.is_file()]
    assert {"summary.json", "job.log", "plan.json"} <= {p.name for p in files}
    assert [p for p in files if b"hf_planted" in p.read_bytes()] == []
    assert "hf_planted" not in outcome.log


@pytest.mark.parametrize("name", ["A B", "1X", "A=b", "$(id)", ""])
def test_an_invalid_name_is_rejected_with_its_position(name: str) -> None:
    """A value given by mistake, or an injection, does not get into the bundle."""
    with pytest.raises(InputError, match="not a valid environment variable name"):
        pipeline.compile_recipe(RECIPE, sets=(f"env_from=[{name!r}]",))
