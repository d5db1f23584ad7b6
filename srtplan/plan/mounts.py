"""Mounts of the job's containers, each with its origin.

Bundle and run directory are mounted at their own paths, so that a path of the Plan is valid inside and outside;
the model is at
``/model``, the logs also at ``/logs``, ``configs/`` of an srtctl checkout at ``/configs``. A target that stands twice
is taken from the last that asks for it (recipe over profile).
"""

from __future__ import annotations

from collections.abc import Iterable

from srtplan.ir.plan import Mount
from srtplan.ir.recipe import Recipe
from srtplan.ir.shell import BUNDLE_DIR, LOG_DIR, RUN_DIR, Lit, notation
from srtplan.plugin import Input


def job_mounts(recipe: Recipe) -> tuple[Mount, ...]:
    """The mounts that every container of the job gets."""
    mounts = [
        Mount(source=BUNDLE_DIR, target=BUNDLE_DIR, origin="bundle", flags="ro"),
        Mount(source=RUN_DIR, target=RUN_DIR, origin="run"),
        Mount(source=LOG_DIR, target=Lit("/logs"), origin="logs"),
    ]
    if recipe.model.hub_id is None:
        mounts.append(Mount(source=Lit(recipe.model.path), target=Lit("/model"), origin="model"))
    if recipe.site.srtctl_root:
        configs = Lit(recipe.site.srtctl_root.rstrip("/") + "/configs")
        mounts.append(Mount(source=configs, target=Lit("/configs"), origin="srtctl_root"))
    mounts += [
        Mount(source=Lit(m.source), target=Lit(m.target), origin=m.origin, flags=m.flags)
        for m in recipe.mounts
    ]
    return tuple({notation(m.target): m for m in mounts}.values())


def input_mounts(recipe: Recipe, inputs: Iterable[Input]) -> tuple[Mount, ...]:
    """Mounts for files that a client reads and that no other mount brings into its container."""
    paths = {i.path: i.why for i in inputs if _holder(recipe, i.path) is None}
    return tuple(Mount(source=Lit(p), target=Lit(p), origin=why, flags="ro") for p, why in paths.items())


def host_path(recipe: Recipe, path: str) -> str | None:
    """The host's path of a path inside the containers; None for one that lies in the directory of the run."""
    holder = _holder(recipe, path)
    if holder is None:
        return path
    rest = path[len(notation(holder.target).rstrip("/")) :]
    return holder.source.text.rstrip("/") + rest if isinstance(holder.source, Lit) else None


def _holder(recipe: Recipe, path: str) -> Mount | None:
    """The innermost mount that brings a path into the containers."""
    under = [m for m in job_mounts(recipe) if f"{path}/".startswith(notation(m.target).rstrip("/") + "/")]
    return max(under, key=lambda m: len(notation(m.target)), default=None)
