"""The environment of a step, in layers; later layers override earlier ones.

Layers of a worker: what engine and frontend declare, traces, the command, the role, the recipe's ``environment``,
GPUs. In values of the recipe ``{node}`` becomes the host name of the step's node, and ``{node_id}`` its index among
the worker nodes; other braces are literal.
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


def merge_layers(*layers: tuple[EnvVar, ...]) -> tuple[EnvVar, ...]:
    """Merge layers: the last value of a name wins. Sorted by name, so that the order of YAML keys has no effect."""
    merged = {v.name: v for layer in layers for v in layer}
    return tuple([merged[name] for name in sorted(merged)])


def from_recipe(pairs: Pairs, *, at: int, nodes: Nodes) -> tuple[EnvVar, ...]:
    """The recipe's variables for a step on node ``at``."""
    return tuple(
        [
            EnvVar(name=k, value=substitute(v, at=at, nodes=nodes)) if "{node" in v else _constant(k, v)
            for k, v in pairs
        ]
    )


@lru_cache(maxsize=1024)
def _constant(name: str, text: str) -> EnvVar:
    """A variable without placeholders; cached, because all workers of a job share it."""
    return EnvVar(name=name, value=Lit(text))


def substitute(text: str, *, at: int, nodes: Nodes) -> Word:
    """Replace ``{node}`` with a reference and ``{node_id}`` with a number."""
    if "{node_id}" in text:
        index = nodes.workers.index(at) if at in nodes.workers else 0
        text = text.replace("{node_id}", str(index))
    pieces = text.split("{node}")
    out: list[str | Word] = [pieces[0]]
    for piece in pieces[1:]:
        out += [node(at), piece]
    return word(*out)


def worker(ctx: WorkerContext, engine: Engine[object], command: Command) -> Layers:
    """The environment layers of a worker step."""
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
    """``CUDA_VISIBLE_DEVICES``, unless the step uses all GPUs of its node."""
    if len(gpus) >= job.recipe.resources.gpus_per_node:
        return ()
    return (EnvVar(name="CUDA_VISIBLE_DEVICES", value=Lit(",".join(map(str, gpus)))),)
