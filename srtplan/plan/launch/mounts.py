"""Mounts of the job's containers, each with its origin.

Bundle and run directory are mounted at their own paths, so that a path of the Plan is valid inside and outside;
the model is at
``/model``, the logs also at ``/logs``, ``configs/`` of an srtctl checkout at ``/configs``. A target that stands twice
is taken from the last that asks for it (recipe over profile).

Placeholders of the recipe's mounts become references (``{log_dir}/x`` is ``${LOG_DIR}/x``) or what is known of the job.
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
    """The mounts that every container of the job gets; ``head`` is the node of ``{head_node_ip}``."""
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
            source=filled(m.source, recipe, head),
            target=filled(m.target, recipe, head),
            origin=m.origin,
            flags=m.flags,
        )
        for m in recipe.mounts
    ]
    return tuple({notation(m.target): m for m in mounts}.values())


def filled(text: str, recipe: Recipe, head: int = 0) -> Word:
    """A side of a mount with its placeholders replaced; other braces were refused before."""
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
    """Mounts for files that a client reads and that no other mount brings into its container."""
    wanted = {i.path: i for i in inputs if "://" not in i.path and _holder(recipe, i.path) is None}
    return tuple(
        Mount(source=Lit(p), target=Lit(p), origin=i.why, flags="" if i.writable else "ro")
        for p, i in wanted.items()
    )


def host_path(recipe: Recipe, path: str) -> str | None:
    """The host's path of a path inside the containers; None for one that lies in the directory of the run."""
    holder = _holder(recipe, path)
    if holder is None:
        return path
    rest = path[len(notation(holder.target).rstrip("/")) :]
    return holder.source.text.rstrip("/") + rest if isinstance(holder.source, Lit) else None


def is_mounted(recipe: Recipe, path: str) -> bool:
    """A mount brings a path into the containers; otherwise it is the image's own."""
    return _holder(recipe, path) is not None


def _holder(recipe: Recipe, path: str) -> Mount | None:
    """The innermost mount that brings a path into the containers."""
    under = [m for m in job_mounts(recipe) if f"{path}/".startswith(notation(m.target).rstrip("/") + "/")]
    return max(under, key=lambda m: len(notation(m.target)), default=None)
