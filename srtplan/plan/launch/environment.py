"""Environment of a step, later layers over earlier ones.

Workers: what the engine and the frontend declare, traces, the command's own, the role's, the recipe's ``environment``,
the GPUs.
``{node}`` and ``{node_id}`` in a value of the recipe become the step's host name and the index of its node among the
worker nodes; any other brace stays as it is.
"""

from __future__ import annotations

from functools import lru_cache

from srtplan import plugin
from srtplan.ir.plan import EnvVar
from srtplan.ir.recipe import Pairs
from srtplan.ir.shell import Lit, Word, node, word
from srtplan.ir.topology import Nodes
from srtplan.plan.launch import observability
from srtplan.plugin import Command, Engine, JobContext, WorkerContext

REMAP_ROOT = EnvVar(name="ENROOT_REMAP_ROOT", value=Lit("yes"), launch=True)


Layers = tuple[tuple[EnvVar, ...], ...]


def layered(*layers: tuple[EnvVar, ...]) -> tuple[EnvVar, ...]:
    """One value per name, the last one given; sorted by name, so that the order of YAML keys does not show."""
    merged = {v.name: v for layer in layers for v in layer}
    return tuple([merged[name] for name in sorted(merged)])


def from_recipe(pairs: Pairs, *, at: int, nodes: Nodes) -> tuple[EnvVar, ...]:
    """Variables of the recipe, for a step on node ``at``."""
    return tuple(
        [
            EnvVar(name=k, value=substitute(v, at=at, nodes=nodes)) if "{node" in v else _constant(k, v)
            for k, v in pairs
        ]
    )


@lru_cache(maxsize=1024)
def _constant(name: str, text: str) -> EnvVar:
    """A variable that is the same on every node; the workers of a job share it."""
    return EnvVar(name=name, value=Lit(text))


def substitute(text: str, *, at: int, nodes: Nodes) -> Word:
    """``{node}`` and ``{node_id}`` as references; all other text as it is."""
    if "{node_id}" in text:
        index = nodes.workers.index(at) if at in nodes.workers else 0
        text = text.replace("{node_id}", str(index))
    pieces = text.split("{node}")
    out: list[str | Word] = [pieces[0]]
    for piece in pieces[1:]:
        out += [node(at), piece]
    return word(*out)


def worker(ctx: WorkerContext, engine: Engine[object], command: Command) -> Layers:
    """Everything that one worker step gets."""
    job, process = ctx.job, ctx.process
    recipe, nodes = job.recipe, job.topology.nodes
    traces = observability.worker(recipe.observability, ctx.role.mode) if engine.speaks_dynamo else ()
    return (
        engine.environment(ctx),
        plugin.frontend(recipe.frontend.type).worker_env(job),
        traces,
        command.env,
        from_recipe(ctx.role.env, at=process.node, nodes=nodes),
        from_recipe(recipe.environment, at=process.node, nodes=nodes),
        () if command.selects_gpus else visible_gpus(job, process.gpus),
    )


def visible_gpus(job: JobContext, gpus: tuple[int, ...]) -> tuple[EnvVar, ...]:
    """``CUDA_VISIBLE_DEVICES``, unless the step has all GPUs of its node."""
    if len(gpus) >= job.recipe.resources.gpus_per_node:
        return ()
    return (EnvVar(name="CUDA_VISIBLE_DEVICES", value=Lit(",".join(map(str, gpus)))),)
