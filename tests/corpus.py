"""Where the public recipes are: data beside the checkout, not part of the project.

``$SRTPLAN_CORPUS``, else ``../shared/recipes`` next to the checkout. Tests that need it are marked ``corpus``; where it is
absent they are skipped with a reason, and fail under ``$CI``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from srtplan import pipeline
from srtplan.config.load import load
from srtplan.diagnostics import InputError

VARIABLE = "SRTPLAN_CORPUS"
DEFAULT_FOLDER = Path(__file__).resolve().parents[2] / "shared" / "recipes"
ENVIRON = {"RUTER_MODEL_PATH": "/models/RUTER_MODEL_PATH"}
"""Variables that recipes of the corpus expect to be set."""
PROFILE = "srtslurm.yaml"


def corpus() -> Path:
    """The folder of recipes; skips or fails the test where there is none."""
    folder = Path(os.environ.get(VARIABLE) or DEFAULT_FOLDER)
    if not (folder / PROFILE).is_file():
        unavailable(f"no corpus of recipes: set {VARIABLE} (looked in {folder})")
    return folder


def oracle() -> Path:
    """The folder of facts that srtctl recorded for the corpus, beside it."""
    folder = corpus().parent / "oracle"
    if not folder.is_dir():
        unavailable(f"no recorded facts beside the corpus: {folder}")
    return folder


def recipes() -> list[str]:
    """Paths of all recipes, relative to the corpus, sorted; empty where there is no corpus."""
    folder = Path(os.environ.get(VARIABLE) or DEFAULT_FOLDER)
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*.yaml") if p.name != PROFILE)


@cache
def planned() -> Mapping[str, pipeline.Planned | str]:
    """Every job of the corpus: ``path@variant`` with its plan, or the problems that refuse it."""
    folder = corpus()
    found: dict[str, pipeline.Planned | str] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder.parent)
        for key, value in ENVIRON.items():
            patch.setenv(key, value)
        for name in recipes():
            arguments = [f"recipes/{name}"]
            text = (folder / name).read_text()
            if text.startswith("base:") or "\nbase:" in text:
                arguments.append(f"recipes/{name}:base")
            for argument in arguments:
                found.update(_of(name, argument))
    return found


def _of(name: str, argument: str) -> Iterator[tuple[str, pipeline.Planned | str]]:
    try:
        jobs = load(argument, cluster=Path("recipes") / PROFILE).jobs
    except InputError as e:
        yield f"{name}@{'base' if argument.endswith(':base') else None}", str(e)
        return
    for job in jobs:
        label = f"{name}@{job.recipe.source.variant}"
        try:
            (plan,) = pipeline.plan([job])
        except InputError as e:
            yield label, str(e)
        else:
            yield label, plan


def unavailable(reason: str) -> None:
    """Skip this test, or fail it where nothing may be skipped."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
