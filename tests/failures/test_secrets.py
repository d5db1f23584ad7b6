"""Secrets: env_from in recipe or profile names them, and their values stand nowhere but in the steps' environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from breakable import RECIPE, SMALL, impatient
from trials import Trial

from srtplan import pipeline
from srtplan.diagnostics import InputError

SECRET = "hf_planted$(id)'secret=="  # noqa: S105 -- planted to be looked for


@pytest.mark.parametrize("where", ["recipe", "profile"])
def test_a_planted_secret_is_found_in_no_artefact(where: str, tmp_path: Path) -> None:
    """Not in bundle, plan, logs, events, argv of any process, scontrol's record; and the steps have it."""
    site = tmp_path / "site.yaml"
    site.write_text("env_from: [HF_TOKEN]\n" if where == "profile" else "output_dir: null\n")
    sets = (*SMALL, "benchmark.type=manual", *(("env_from=[HF_TOKEN]",) if where == "recipe" else ()))
    (made,) = pipeline.compile_recipe(RECIPE, cluster=site, sets=sets)
    by_kind = {step.kind: step.env_from for step in made.plan.steps}
    assert by_kind["worker"] == by_kind["frontend"] == ("HF_TOKEN",)
    assert by_kind["nginx"] == by_kind["infra"] == ()
    pipeline.write(pipeline.bundle(impatient(made.plan)), tmp_path / "bundle")
    with Trial(tmp_path / "bundle", tmp_path / "trial", env={"HF_TOKEN": SECRET}) as trial:
        trial.reach("serving")
        trial.until_running("decode_0")
        shown = trial.cluster.run(["scontrol", "show", "job", "-o", str(trial.job.number)]).stdout
        seen: set[bool] = set()
        for pid in trial.cluster.leftovers():
            try:
                argv = Path(f"/proc/{pid}/cmdline").read_bytes()
                environ = Path(f"/proc/{pid}/environ").read_bytes()
            except OSError:
                continue
            assert SECRET.encode() not in argv
            if b"dynamo.mocker" in argv:
                seen.add(f"HF_TOKEN={SECRET}".encode() in environ)
        trial.stop()
        outcome = trial.wait()
    assert seen == {True}, "the engines have it"
    assert "hf_planted" not in shown + outcome.log
    files = [p for folder in ("bundle", "trial/out") for p in (tmp_path / folder).rglob("*") if p.is_file()]
    assert len(files) > 30
    assert [p for p in files if b"hf_planted" in p.read_bytes()] == []


@pytest.mark.parametrize("name", ["A B", "1X", "A=b", "$(id)", ""])
def test_a_name_that_is_none_is_refused_with_its_place(name: str) -> None:
    """A value given by mistake, or an injection, does not get into the bundle."""
    with pytest.raises(InputError, match="not a name for an environment variable"):
        pipeline.compile_recipe(RECIPE, sets=(f"env_from=[{name!r}]",))
