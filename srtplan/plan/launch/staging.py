"""How the model gets to the nodes before workers start: a copy on each node's own disk, or a download into a shared cache.

``model.stage_dir`` makes a step ``stage_model`` with a task per worker node, which copies what is not there yet; it must end
with 0. A model of the hub and an ``HF_HOME`` in the workers' environment make a step ``fetch_model`` on the first worker
node, so that the workers do not download the same files side by side; if it fails, they try for themselves.
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


def staged(recipe: Recipe) -> str | None:
    """Where the copy is on every worker node: a folder of the model's name below ``stage_dir``."""
    if recipe.model.stage_dir is None or recipe.model.hub_id is not None:
        return None
    return f"{recipe.model.stage_dir.rstrip('/')}/{PurePosixPath(recipe.model.path).name}"


def mounts(recipe: Recipe) -> tuple[Mount, ...]:
    """The folder above ``stage_dir``, at its own path, so that a container can make it; never the root."""
    if staged(recipe) is None:
        return ()
    stage = PurePosixPath(recipe.model.stage_dir or "/")
    above = stage if str(stage.parent) == "/" else stage.parent
    return (Mount(source=Lit(str(above)), target=Lit(str(above)), origin="model.stage_dir"),)


def hub_variables(recipe: Recipe) -> dict[str, str]:
    """Variables of the hub's client, of all roles and the recipe; empty without HF_HOME."""
    pairs = (*(p for r in recipe.resources.roles for p in r.env), *recipe.environment)
    found = {k: v for k, v in pairs if k.startswith(FETCH_ENV)}
    return found if "HF_HOME" in found else {}


def command(job: JobContext) -> tuple[str, Command, tuple[int, ...]] | None:
    """Name, command and nodes of the step; None if the workers load the model from where it is."""
    recipe = job.recipe
    nodes = tuple(sorted({n for e in job.topology.endpoints for n in e.nodes}))
    if (target := staged(recipe)) is not None:
        argv = words("bash", word(BUNDLE_DIR, "/lib/stage_model.sh"), job.model, target)
        told = (SrunOption(name="kill-on-bad-exit", value=Lit("0")),)  # every node says what is wrong with it
        return (
            "stage_model",
            Command(argv=argv, srun=told, note="copy of the model on every worker node", stand_in=REAL),
            nodes,
        )
    if recipe.model.hub_id is not None and (variables := hub_variables(recipe)):
        argv = words("timeout", FETCH_S, "bash", word(BUNDLE_DIR, "/lib/fetch_model.sh"), recipe.model.hub_id)
        env = tuple(EnvVar(name=k, value=Lit(v)) for k, v in variables.items())
        return (
            "fetch_model",
            Command(argv=argv, env=env, note="the model into the shared cache", stand_in=REAL),
            nodes[:1],
        )
    return None


def inside(recipe: Recipe) -> str:
    """The model as every step sees it: a hub id, or its folder."""
    maps = plugin.runtime(recipe.site.runtime).maps_paths
    return recipe.model.hub_id or ("/model" if maps else recipe.model.path)
