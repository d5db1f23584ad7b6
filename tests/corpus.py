"""Where the public recipes are: data beside the checkout, not part of the project.

``$SRTPLAN_CORPUS``, else ``../shared/recipes`` next to the checkout. Tests that need it are marked ``corpus``; where it is
absent they are skipped with a reason, and fail under ``$CI``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

VARIABLE = "SRTPLAN_CORPUS"
BESIDE = Path(__file__).resolve().parents[2] / "shared" / "recipes"
ENVIRON = {"RUTER_MODEL_PATH": "/models/RUTER_MODEL_PATH"}
"""Variables that recipes of the corpus expect to be set."""
PROFILE = "srtslurm.yaml"


def corpus() -> Path:
    """The folder of recipes; skips or fails the test where there is none."""
    folder = Path(os.environ.get(VARIABLE) or BESIDE)
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
    folder = Path(os.environ.get(VARIABLE) or BESIDE)
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*.yaml") if p.name != PROFILE)


def unavailable(reason: str) -> None:
    """Skip this test, or fail it where nothing may be skipped."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
