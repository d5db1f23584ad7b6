"""apply and dry-run where srtplan itself is at fault with one recipe: the others go on, and the exit code is 70."""

from __future__ import annotations

import json
from pathlib import Path

import faulty
import pytest
from site_of_stand_ins import ROOT, Site


@pytest.fixture
def path(site: Site) -> str:
    """PYTHONPATH with the faulty plugin; ``in`` has two good recipes and a bad one."""
    return f"{ROOT}:{faulty.install(site.folder / 'site')}"


@pytest.mark.parametrize("how", ["raises", "dangles", "unprintable"])
def test_a_folder_is_submitted_without_it(site: Site, path: str, how: str) -> None:
    """The recipe is named on stderr and has an error line in JSON; the others are in the queue."""
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


def test_named_by_itself_nothing_is_submitted(site: Site, path: str) -> None:
    """As with a recipe that has errors."""
    faulty.recipes(site.folder / "in", a="manual", b="faulty, how: dangles")
    done = site.apply("-f", "in/a.yaml", "-f", "in/b.yaml", PYTHONPATH=path)
    assert done.returncode == 70
    assert "nothing was submitted; 1 job would have been valid" in done.stderr
    assert site.jobs == {}


def test_dry_run(site: Site, path: str) -> None:
    """A line per job, an error line for the bad one."""
    faulty.recipes(site.folder / "in", a="manual", b="faulty, how: dangles")
    done = site.run("dry-run", "--json", "-f", "in", PYTHONPATH=path)
    assert done.returncode == 70
    assert sorted(json.loads(line)["status"] for line in done.stdout.splitlines()) == ["dry-run", "error"]
