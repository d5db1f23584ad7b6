"""The mounts of the job's containers, each with its origin.

Bundle and run directory are mounted at their own paths, so that paths in the Plan are valid inside and outside the
container. The model is mounted at ``/model``, the logs also at ``/logs``, and ``configs/`` of an srtctl checkout at
``/configs``. If two mounts have the same target, the last one wins (the recipe overrides the profile).

Placeholders in the recipe's mounts become references (``{log_dir}/x`` is ``${LOG_DIR}/x``) or values of the job.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from srtplan.ir.plan import Mount
from srtplan.ir.recipe import Recipe
from srtplan.ir.shell import BUNDLE_DIR, JOB_ID, LOG_DIR, RUN_DIR, Lit, Word, ip, notation, word
from srtplan.plan.launch import staging
from srtplan.plugin import Input

_PIECES = re.compile(r"\{[^{}]*\}|[^{}]+|[{}]")


def job_mounts(recipe: Recipe, head: int = 0) -> tuple[Mount, ...]:
    """The mounts of every container of the job; ``head`` is the node of ``{head_node_ip}``."""
    mounts = [
        Mount(source=BUNDLE_DIR, target=BUNDLE_DIR, origin="bundle", flags="ro"),
        Mount(source=RUN_DIR, target=RUN_DIR, origin="run"),
        Mount(source=LOG_DIR, target=Lit("/logs"), origin="logs"),
    ]
    if recipe.model.hub_id is None:
        mounts.append(Mount(source=Lit(recipe.model.path), target=Lit("/model"), origin="model"))
    mounts += staging.mounts(recipe)
    if recipe.site.srtctl_root:
        configs = Lit(recipe.site.srtctl_root.rstrip("/") + "/configs")
        mounts.append(Mount(source=configs, target=Lit("/configs"), origin="srtctl_root"))
    mounts += [
        Mount(
            source=fill_placeholders(m.source, recipe, head),
            target=fill_placeholders(m.target, recipe, head),
            origin=m.origin,
            flags=m.flags,
        )
        for m in recipe.mounts
    ]
    return tuple({notation(m.target): m for m in mounts}.values())


def fill_placeholders(text: str, recipe: Recipe, head: int = 0) -> Word:
    """The source or target of a mount with its placeholders replaced; other braces were rejected earlier."""
    if "{" not in text:
        return word(text)
    known: dict[str, str | Word] = {
        "job_id": JOB_ID,
        "run_name": word(f"{recipe.name}_", JOB_ID),
        "head_node_ip": ip(head),
        "log_dir": LOG_DIR,
        "model_path": recipe.model.path,
        "container_image": recipe.model.container,
        "gpus_per_node": str(recipe.resources.gpus_per_node),
    }
    return word(*(known.get(p[1:-1], p) if p.startswith("{") else p for p in _PIECES.findall(text)))


def input_mounts(recipe: Recipe, inputs: Iterable[Input]) -> tuple[Mount, ...]:
    """Mounts for files that a client reads and that no other mount covers."""
    wanted = {i.path: i for i in inputs if "://" not in i.path and _holder(recipe, i.path) is None}
    return tuple(
        Mount(source=Lit(p), target=Lit(p), origin=i.why, flags="" if i.writable else "ro")
        for p, i in wanted.items()
    )


def host_path(recipe: Recipe, path: str) -> str | None:
    """The host path of a path inside the containers; None if it is below the run directory."""
    holder = _holder(recipe, path)
    if holder is None:
        return path
    rest = path[len(notation(holder.target).rstrip("/")) :]
    return holder.source.text.rstrip("/") + rest if isinstance(holder.source, Lit) else None


def is_mounted(recipe: Recipe, path: str) -> bool:
    """Return whether a mount covers a path; otherwise the path belongs to the image."""
    return _holder(recipe, path) is not None


def _holder(recipe: Recipe, path: str) -> Mount | None:
    """The innermost mount that covers a path."""
    under = [m for m in job_mounts(recipe) if f"{path}/".startswith(notation(m.target).rstrip("/") + "/")]
    return max(under, key=lambda m: len(notation(m.target)), default=None)
