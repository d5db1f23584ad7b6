"""The search for the cluster profile."""

from __future__ import annotations

from pathlib import Path

import pytest
from documents import SMALL, Folder

from srtplan.config import load, recipes_below
from srtplan.diagnostics import InputError


@pytest.mark.parametrize("place", ["srtslurm.yaml", "../srtslurm.yaml", "../../srtslurm.yaml"])
def test_the_profile_is_found_here_or_above(folder: Folder, place: str) -> None:
    """The search covers the current directory and the two above it."""
    here = folder.path / "a" / "b"
    folder.write(SMALL, "a/b/recipe.yaml")
    (here / place).resolve().write_text("default_account: found\n")
    (job,) = load("recipe.yaml", cwd=here, environ={}).jobs
    assert job.recipe.slurm.account == "found"


def test_the_nearest_profile_is_used(folder: Folder) -> None:
    """The search ends at the first profile."""
    folder.write("default_account: far\n", "srtslurm.yaml")
    folder.write("default_account: near\n", "a/srtslurm.yaml")
    folder.write(SMALL, "a/recipe.yaml")
    (job,) = load("recipe.yaml", cwd=folder.path / "a", environ={}).jobs
    assert job.recipe.slurm.account == "near"


def test_cluster_overrides_the_environment_overrides_the_search(folder: Folder) -> None:
    """``--cluster`` comes first, then ``$SRTSLURM_CONFIG``, then the search."""
    for name in ("srtslurm", "by-env", "by-option"):
        folder.write(f"default_account: {name}\n", f"{name}.yaml")
    folder.write(SMALL)
    accounts = [
        load("recipe.yaml", cwd=folder.path, environ=environ, cluster=cluster).jobs[0].recipe.slurm.account
        for environ, cluster in (
            ({}, None),
            ({"SRTSLURM_CONFIG": "by-env.yaml"}, None),
            ({"SRTSLURM_CONFIG": "by-env.yaml"}, Path("by-option.yaml")),
        )
    ]
    assert accounts == ["srtslurm", "by-env", "by-option"]


@pytest.mark.parametrize(
    ("environ", "cluster"), [({"SRTSLURM_CONFIG": "gone.yaml"}, None), ({}, Path("gone.yaml"))]
)
def test_a_named_profile_must_exist(folder: Folder, environ: dict[str, str], cluster: Path | None) -> None:
    """A missing named profile is an error; there is no fallback."""
    folder.write("default_account: x\n", "srtslurm.yaml")
    folder.write(SMALL)
    with pytest.raises(InputError) as caught:
        load("recipe.yaml", cwd=folder.path, environ=environ, cluster=cluster)
    assert [(p.rule, p.file) for p in caught.value.report] == [("SP301", "gone.yaml")]


def test_recipes_below_a_folder(folder: Folder) -> None:
    """All YAML files are found, sorted, except profiles and files in hidden folders."""
    for name in ("b.yaml", "a.yml", "c/d.yaml", "c/srtslurm.yaml", ".git/x.yaml", "note.txt"):
        folder.write("", name)
    found = [str(p.relative_to(folder.path)) for p in recipes_below(folder.path)]
    assert found == ["a.yml", "b.yaml", "c/d.yaml"]


def test_a_profile_that_changes_is_read_again(folder: Folder) -> None:
    """The cached profile is not used after the file has changed."""
    folder.write(SMALL)
    accounts = []
    for name in ("before", "before", "after"):
        folder.write(f"default_account: {name}\n", "srtslurm.yaml")
        (job,) = load("recipe.yaml", cwd=folder.path, environ={}).jobs
        accounts.append(job.recipe.slurm.account)
    assert accounts == ["before", "before", "after"]
