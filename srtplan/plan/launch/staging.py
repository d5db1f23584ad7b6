"""Provide the model before workers start: copy it to local disks, or download it into a shared cache.

``model.stage_dir`` adds a step ``stage_model`` with one task per worker node, which copies missing files and must
succeed. A model of the hub together with ``HF_HOME`` in the workers' environment adds a step ``fetch_model`` on the first
worker node, so that the workers do not all download the same files. If it fails, the workers download the model.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from srtplan import plugin
from srtplan.ir.plan import EnvVar, Mount, SrunOption, StandIn
from srtplan.ir.recipe import Recipe
from srtplan.ir.shell import BUNDLE_DIR, Lit, word, words
from srtplan.plugin import Command, JobContext

FETCH_S = 3600
REAL = StandIn(behavior="real")
"""The library's own scripts take care of a rehearsal themselves."""
FETCH_ENV = ("HF_", "HUGGING_FACE_")


def copy_path(recipe: Recipe) -> str | None:
    """The directory of the copy on every worker node, below ``stage_dir``; None if the model is not copied."""
    if recipe.model.stage_dir is None or recipe.model.hub_id is not None:
        return None
    return f"{recipe.model.stage_dir.rstrip('/')}/{PurePosixPath(recipe.model.path).name}"


def mounts(recipe: Recipe) -> tuple[Mount, ...]:
    """A mount of the parent of ``stage_dir``, so that a container can create it; never of the root directory."""
    if copy_path(recipe) is None:
        return ()
    stage = PurePosixPath(recipe.model.stage_dir or "/")
    above = stage if str(stage.parent) == "/" else stage.parent
    return (Mount(source=Lit(str(above)), target=Lit(str(above)), origin="model.stage_dir"),)


def hub_variables(recipe: Recipe) -> dict[str, str]:
    """Variables of the hub's client from all roles and the recipe; empty without ``HF_HOME``."""
    pairs = (*(p for r in recipe.resources.roles for p in r.env), *recipe.environment)
    found = {k: v for k, v in pairs if k.startswith(FETCH_ENV)}
    return found if "HF_HOME" in found else {}


def command(job: JobContext) -> tuple[str, Command, tuple[int, ...]] | None:
    """Name, command and nodes of the step; None if the workers load the model from its original place."""
    recipe = job.recipe
    nodes = tuple(sorted({n for e in job.topology.endpoints for n in e.nodes}))
    if (target := copy_path(recipe)) is not None:
        argv = words("bash", word(BUNDLE_DIR, "/lib/stage_model.sh"), job.model, target)
        keep_going = (
            SrunOption(name="kill-on-bad-exit", value=Lit("0")),
        )  # so that every node reports its own error
        return (
            "stage_model",
            Command(argv=argv, srun=keep_going, note="copy the model to every worker node", stand_in=REAL),
            nodes,
        )
    if recipe.model.hub_id is not None and (variables := hub_variables(recipe)):
        argv = words("timeout", FETCH_S, "bash", word(BUNDLE_DIR, "/lib/fetch_model.sh"), recipe.model.hub_id)
        env = tuple(EnvVar(name=k, value=Lit(v)) for k, v in variables.items())
        return (
            "fetch_model",
            Command(argv=argv, env=env, note="download the model into the shared cache", stand_in=REAL),
            nodes[:1],
        )
    return None


def model_path(recipe: Recipe) -> str:
    """The model as every step sees it: a hub id or a directory."""
    maps = plugin.runtime(recipe.site.runtime).maps_paths
    return recipe.model.hub_id or ("/model" if maps else recipe.model.path)
