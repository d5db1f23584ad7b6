"""The corpus of public recipes: data outside the project.

It is in ``$SRTPLAN_CORPUS``, else in ``../shared/recipes`` next to the checkout. Tests that need it are marked ``corpus``.
Without it they are skipped with a reason, and fail under ``$CI``.
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
DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "recipes"
ENVIRON = {"RUTER_MODEL_PATH": "/models/RUTER_MODEL_PATH"}
"""Variables that recipes of the corpus expect to be set."""
PROFILE = "srtslurm.yaml"


def corpus() -> Path:
    """The directory of recipes; skips or fails the test if it is missing."""
    folder = Path(os.environ.get(VARIABLE) or DEFAULT)
    if not (folder / PROFILE).is_file():
        unavailable(f"corpus of recipes not found in {folder}; set {VARIABLE}")
    return folder


def oracle() -> Path:
    """The directory of facts recorded from srtctl, next to the corpus."""
    folder = corpus().parent / "oracle"
    if not folder.is_dir():
        unavailable(f"recorded facts of srtctl not found in {folder}")
    return folder


def recipes() -> list[str]:
    """Sorted paths of all recipes, relative to the corpus; empty without a corpus."""
    folder = Path(os.environ.get(VARIABLE) or DEFAULT)
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*.yaml") if p.name != PROFILE)


@cache
def planned() -> Mapping[str, pipeline.Planned | str]:
    """All jobs of the corpus by ``path@variant``: a plan, or the text of the errors."""
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
    """Skip this test, or fail it under CI."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
