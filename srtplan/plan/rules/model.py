"""The model: copies that cannot be made, and a hub model without a shared cache (SP417, SP418)."""

from __future__ import annotations

from collections.abc import Iterable

from srtplan.diagnostics import Finding
from srtplan.ir.recipe import Recipe
from srtplan.plan.launch.staging import hub_variables


def check(recipe: Recipe) -> Iterable[Finding]:
    """A copy of something that is no directory, or to the root of the file system; a hub model without a cache."""
    path, model = ("model", "stage_dir"), recipe.model
    if model.stage_dir is not None and model.hub_id is not None:
        message = "a model of the hub cannot be staged: it is in the cache that HF_HOME names"
        yield Finding(
            rule="SP417",
            path=path,
            message=message,
            help="remove stage_dir, or set HF_HOME to a local folder",
        )
    elif model.stage_dir is not None and not model.stage_dir.strip("/"):
        yield Finding(
            rule="SP417", path=path, message="the root of the file system is no place for a copy of the model"
        )
    if model.hub_id is not None and not hub_variables(recipe):
        yield Finding(
            rule="SP418",
            path=("model", "path"),
            severity="warning",
            message="no HF_HOME is set: every worker downloads the model into its own container",
            help="set HF_HOME in the environment, to a folder that is mounted",
        )
