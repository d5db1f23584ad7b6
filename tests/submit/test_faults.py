"""apply and dry-run with an internal error on one recipe: the rest are still processed, and the exit code is 70."""

from __future__ import annotations

import json
from pathlib import Path

import faulty
import pytest
from site_of_stand_ins import ROOT, Site


@pytest.fixture
def path(site: Site) -> str:
    """A PYTHONPATH with a plugin that raises internal errors."""
    return f"{ROOT}:{faulty.install(site.folder / 'site')}"


@pytest.mark.parametrize("how", ["raises", "dangles", "unprintable"])
def test_other_recipes_of_a_directory_are_submitted(site: Site, path: str, how: str) -> None:
    """The recipe with the error is named on stderr and in the JSON output; the others are submitted."""
    faulty.recipes(site.folder / "in", a="manual", b=f"faulty, how: {how}", c="manual")
    done = site.apply("--json", "-f", "in", PYTHONPATH=path)
    assert done.returncode == 70
    lines = {Path(line["recipe"]).name: line for line in map(json.loads, done.stdout.splitlines())}
    assert {name: line["status"] for name, line in lines.items()} == {
        "a.yaml": "submitted",
        "b.yaml": "error",
        "c.yaml": "submitted",
    }
    assert lines["b.yaml"]["error"].startswith("internal error: ")
    assert "internal error in in/b.yaml" in done.stderr
    assert len(site.jobs) == 2


def test_named_recipes_are_submitted_together_or_not_at_all(site: Site, path: str) -> None:
    """An internal error on a named recipe stops all, like an error in the recipe."""
    faulty.recipes(site.folder / "in", a="manual", b="faulty, how: dangles")
    done = site.apply("-f", "in/a.yaml", "-f", "in/b.yaml", PYTHONPATH=path)
    assert done.returncode == 70
    assert "nothing was submitted; 1 job would have been valid" in done.stderr
    assert site.jobs == {}


def test_dry_run(site: Site, path: str) -> None:
    """The output has one line per job, and an error line for the recipe with the internal error."""
    faulty.recipes(site.folder / "in", a="manual", b="faulty, how: dangles")
    done = site.run("dry-run", "--json", "-f", "in", PYTHONPATH=path)
    assert done.returncode == 70
    assert sorted(json.loads(line)["status"] for line in done.stdout.splitlines()) == ["dry-run", "error"]
