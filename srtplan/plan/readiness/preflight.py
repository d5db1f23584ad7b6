"""The preflight checks of the nodes: model, image and mounts exist, ports are free, and GPUs are present."""

from __future__ import annotations

from srtplan import plugin
from srtplan.ir.plan import PreflightCheck
from srtplan.ir.recipe import Recipe
from srtplan.ir.shell import Lit, notation
from srtplan.plan.launch import staging
from srtplan.plan.launch.mounts import fill_placeholders, host_path, is_mounted
from srtplan.plan.launch.steps import Launches
from srtplan.plugin import JobContext

CONFIGS, WHEELS = "/configs", "/srtctl-wheels"


def checks(job: JobContext, launches: Launches) -> tuple[PreflightCheck, ...]:
    """The checks: paths first, then ports in start order, then GPUs."""
    recipe, nodes = job.recipe, job.topology.nodes
    every = tuple(range(nodes.total))
    out: list[PreflightCheck] = []
    if recipe.model.hub_id is None:
        out.append(PreflightCheck(kind="dir", subject=recipe.model.path, nodes=every, why="model.path"))
    out += [
        PreflightCheck(kind="dir", subject=notation(m.source), nodes=every, why=m.origin)
        for m in staging.mounts(recipe)
    ]
    out += _setup_script(recipe, every)
    out += _inputs(job, launches)
    if plugin.runtime(recipe.site.runtime).maps_paths:
        out += _images(job, launches)
        out += [
            PreflightCheck(kind="path", subject=source.text, nodes=every, why=m.origin)
            for m in recipe.mounts
            if isinstance(source := fill_placeholders(m.source, recipe), Lit)
        ]
    out += [
        PreflightCheck(kind="port", subject=str(p), nodes=(n,), why=step) for n, p, step in launches.listening
    ]
    if recipe.site.gpus_per_node_directive:
        per_node = str(recipe.resources.gpus_per_node)
        out.append(
            PreflightCheck(kind="gpus", subject=per_node, nodes=nodes.workers, why="resources.gpus_per_node")
        )
    return tuple(out)


def _setup_script(recipe: Recipe, nodes: tuple[int, ...]) -> list[PreflightCheck]:
    """The check of the setup script, if the host directory mounted at /configs is known."""
    inside = plugin.runtime(recipe.site.runtime).maps_paths
    known = not inside or is_mounted(recipe, CONFIGS)
    folder = (host_path(recipe, CONFIGS) if inside else CONFIGS) if known else None
    if not recipe.setup_script or folder is None:
        return []
    places = [f"{folder}/{recipe.setup_script}", f"{folder}/patches/{recipe.setup_script}"]
    return [PreflightCheck(kind="any", subject=":".join(places), nodes=nodes, why="setup_script")]


def _inputs(job: JobContext, launches: Launches) -> list[PreflightCheck]:
    """The checks of the benchmark's input files, on the node of the client."""
    maps = plugin.runtime(job.recipe.site.runtime).maps_paths
    at = (job.topology.nodes.bench,)
    out = []
    for item in launches.benchmark.inputs:
        is_url = "://" in item.path
        path = item.path if is_url or not maps else host_path(job.recipe, item.path)
        if path:
            out.append(PreflightCheck(kind="url" if is_url else "path", subject=path, nodes=at, why=item.why))
    return out


def _images(job: JobContext, launches: Launches) -> list[PreflightCheck]:
    """The checks of images that are files, on the nodes of the steps that use them."""
    where: dict[str, set[int]] = {}
    for step in launches.steps:
        if step.container and step.container.image.startswith("/"):
            where.setdefault(step.container.image, set()).update(step.nodes)
    model = job.recipe.model.container
    return [
        PreflightCheck(
            kind="file",
            subject=image,
            nodes=tuple(sorted(nodes)),
            why="model.container" if image == model else "image",
        )
        for image, nodes in where.items()
    ]
