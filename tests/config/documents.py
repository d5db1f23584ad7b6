"""A folder with a recipe and perhaps a profile, and what loading them gives; and the smallest recipe.

folder.job(SMALL, "resources.agg_workers=2", profile="default_account: x").recipe
"""

from __future__ import annotations

from pathlib import Path

import pytest

from srtplan.config import Job, Loaded, load
from srtplan.diagnostics import InputError, Problem

SMALL = """\
name: small
model: {path: /models/m, container: /images/i.sqsh, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 8, agg_nodes: 1, agg_workers: 1}
backend: {type: mocker}
"""


class Folder:
    """A folder with a recipe and perhaps a profile, and what loading them gives."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, text: str, name: str = "recipe.yaml") -> Path:
        """A file of the folder."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, newline="")
        return path

    def load(self, text: str, *sets: str, selector: str = "", profile: str = "", **environ: str) -> Loaded:
        """The jobs of a text, under a profile if one is given."""
        self.write(text)
        if profile:
            self.write(profile, "srtslurm.yaml")
        return load(f"recipe.yaml{selector}", sets=sets, cwd=self.path, environ=environ)

    def job(self, text: str, *sets: str, selector: str = "", profile: str = "", **environ: str) -> Job:
        """The only job."""
        (only,) = self.load(text, *sets, selector=selector, profile=profile, **environ).jobs
        return only

    def problems(
        self, text: str, *sets: str, selector: str = "", profile: str = "", **environ: str
    ) -> list[Problem]:
        """The problems of a text that cannot be loaded."""
        with pytest.raises(InputError) as caught:
            self.load(text, *sets, selector=selector, profile=profile, **environ)
        return list(caught.value.report)
