"""Rules on the model: invalid staging, and a Hugging Face model without a shared cache (SP417, SP418)."""

from __future__ import annotations

from collections.abc import Iterable

from srtplan.diagnostics import Finding
from srtplan.ir.recipe import Recipe
from srtplan.plan.launch.staging import hub_variables


def check(recipe: Recipe) -> Iterable[Finding]:
    """Yield problems of `stage_dir`, and a warning for a Hugging Face model without a shared cache."""
    path, model = ("model", "stage_dir"), recipe.model
    if model.stage_dir is not None and model.hub_id is not None:
        message = "'stage_dir' cannot be used with a Hugging Face model, which is read from HF_HOME"
        yield Finding(
            rule="SP417",
            path=path,
            message=message,
            help="remove `stage_dir`, or set `model.path` to a directory",
        )
    elif model.stage_dir is not None and not model.stage_dir.strip("/"):
        yield Finding(
            rule="SP417",
            path=path,
            message="'stage_dir' cannot be the root directory",
            help="write a folder on the nodes' local disk, such as /scratch/models",
        )
    if model.hub_id is not None and not hub_variables(recipe):
        yield Finding(
            rule="SP418",
            path=("model", "path"),
            severity="warning",
            message="HF_HOME is not set: every worker downloads the model into its own container",
            help="add `HF_HOME: /path` under `environment:`, where /path is mounted",
        )
