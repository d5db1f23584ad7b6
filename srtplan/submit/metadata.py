"""Build ``<job id>.json``, the metadata of a submission, with srtctl's key names where srtctl has them.

In: an ``Order`` (the plan, the recipe and its text), the job's id and directory. Out: plain data without secrets::

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
from srtplan.submit.masking import mask, mask_text, secret_values
from srtplan.submit.slurm import JobId

FORMAT = "srtplan.job/1"
SRTCTL_VERSION = "2.0"
"""The version of srtctl's metadata format that has these keys."""
_POSITIONS = ("at", "args_at", "env_at")
_PAIR = 2


@frozen(kw_only=True)
class Order:
    """One job to submit. ``text`` is the recipe as read from ``path`` (absolute, or ``-``).

    ``sets`` holds the ``--set`` options of the command line.
    """

    plan: Plan
    recipe: Recipe
    path: str
    text: str
    tags: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()


def build_metadata(order: Order, job: JobId, folder: Path, at: datetime) -> dict[str, object]:
    """The metadata of a submission."""
    plan, recipe = order.plan, order.recipe
    resolved = to_plain_data(recipe)
    secrets = secret_values(resolved)
    metadata: dict[str, object] = {
        "format": FORMAT,
        "version": SRTCTL_VERSION,
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
    return {key: mask(value, secrets) for key, value in metadata.items()}


def masked_recipe(order: Order) -> str:
    """The text of the recipe with its secrets masked."""
    return mask_text(order.text, secret_values(to_plain_data(order.recipe)))


def utc(at: datetime) -> str:
    """A time in UTC, such as ``2026-01-31T12:00:00Z``."""
    return at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_plain_data(value: object) -> object:
    """A Recipe, or a part of one, as plain data without source positions."""
    if isinstance(value, Map):
        return thaw(value)
    fields: tuple[attrs.Attribute[object], ...] | None = getattr(type(value), "__attrs_attrs__", None)
    if fields is not None:
        return {a.name: _field(a, getattr(value, a.name)) for a in fields if a.name not in _POSITIONS}
    if isinstance(value, tuple | list):
        return [to_plain_data(v) for v in value]
    if isinstance(value, dict):
        return {str(k): to_plain_data(v) for k, v in value.items()}
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _field(attribute: attrs.Attribute[object], value: object) -> object:
    """A field as plain data; pairs of name and value, such as an environment, become a mapping."""
    is_pairs = isinstance(value, tuple) and all(isinstance(v, tuple) and len(v) == _PAIR for v in value)
    if is_pairs and (value or "Pairs" in str(attribute.type)):
        return {str(k): to_plain_data(v) for k, v in value}  # type: ignore[attr-defined]
    return to_plain_data(value)
