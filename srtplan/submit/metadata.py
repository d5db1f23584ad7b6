"""``<job id>.json``: what was submitted, by whom it was asked for and what it became; srtctl's names where it has one.

In: an ``Order`` (the plan, the recipe, the text it came from), the job's id and folder. Out: plain data, without secrets::

    {"version": "2.0", "job_id": "4711", "job_name": "dsr1", "tags": ["night"], "submitted_at": "2026-01-31T12:00:00Z",
     "recipe": {"path": "r.yaml", "sha256": "...", "variant": null, "text": "...", "resolved": {...}}, ...}
"""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import attrs
from attrs import frozen

from srtplan import __version__
from srtplan.ir.data import Map, thaw
from srtplan.ir.plan import Plan
from srtplan.ir.recipe import Recipe
from srtplan.job_facts import describe_job
from srtplan.submit.masking import mask, mask_text, values
from srtplan.submit.slurm import JobId

FORMAT = "srtplan.job/1"
LIKE_SRTCTL = "2.0"
"""The version of srtctl's metadata whose keys these are."""
_PLACES = ("at", "args_at", "env_at")
_PAIR = 2


@frozen(kw_only=True)
class Order:
    """One job to be submitted. ``text`` is the recipe as it was read from ``path`` (absolute, or ``-``).

    ``sets`` are the ``--set`` of the command line.
    """

    plan: Plan
    recipe: Recipe
    path: str
    text: str
    tags: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()


def document(order: Order, job: JobId, folder: Path, at: datetime) -> dict[str, object]:
    """The metadata of a submission."""
    plan, recipe = order.plan, order.recipe
    resolved = plain(recipe)
    secrets = values(resolved)
    made: dict[str, object] = {
        "format": FORMAT,
        "version": LIKE_SRTCTL,
        "srtplan_version": __version__,
        "job_id": job.number,
        "job_name": plan.name,
        "tags": list(order.tags),
        "submitted_at": utc(at),
        "cluster": recipe.site.cluster,
        "slurm_cluster": job.cluster or None,
        "output_dir": str(folder),
        "engine": plan.engine,
        "frontend": plan.frontend,
        **describe_job(recipe),
        "served_model_name": plan.served_model_name,
        "nodes": plan.nodes.total,
        "sbatch": list(plan.sbatch),
        "setup_script": recipe.setup_script,
        "recipe": {
            "path": order.path,
            "sha256": recipe.source.sha256,
            "variant": recipe.source.variant,
            "set": list(order.sets),
            "text": mask_text(order.text, secrets),
            "resolved": resolved,
        },
    }
    return {key: mask(value, secrets) for key, value in made.items()}


def recipe_text(order: Order) -> str:
    """The recipe as it was given, without secrets."""
    return mask_text(order.text, values(plain(order.recipe)))


def utc(at: datetime) -> str:
    """``2026-01-31T12:00:00Z``."""
    return at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def plain(value: object) -> object:
    """A Recipe, or a part of one, as plain data; where a value stands in the file is left out."""
    if isinstance(value, Map):
        return thaw(value)
    fields: tuple[attrs.Attribute[object], ...] | None = getattr(type(value), "__attrs_attrs__", None)
    if fields is not None:
        return {a.name: _field(a, getattr(value, a.name)) for a in fields if a.name not in _PLACES}
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _field(attribute: attrs.Attribute[object], value: object) -> object:
    """A field; pairs of name and value, an environment for example, become a mapping."""
    is_pairs = isinstance(value, tuple) and all(isinstance(v, tuple) and len(v) == _PAIR for v in value)
    if is_pairs and (value or "Pairs" in str(attribute.type)):
        return {str(k): plain(v) for k, v in value}  # type: ignore[attr-defined]
    return plain(value)
