"""What every node must show before anything is loaded.

Model, image and mounts are there, planned ports are free, GPUs are counted.
"""

from __future__ import annotations

from collections.abc import Iterable

from srtplan import plugin
from srtplan.diagnostics import Finding, Path
from srtplan.ir.plan import PreflightCheck
from srtplan.ir.recipe import Recipe
from srtplan.ir.shell import Lit, notation
from srtplan.plan import model
from srtplan.plan.mounts import filled, host_path, is_mounted
from srtplan.plan.steps import Launches, installs_dynamo
from srtplan.plugin import JobContext

CONFIGS, WHEELS = "/configs", "/srtctl-wheels"


def checks(job: JobContext, made: Launches) -> tuple[PreflightCheck, ...]:
    """The table of checks, paths first, then ports in start order, then GPUs."""
    recipe, nodes = job.recipe, job.topology.nodes
    every = tuple(range(nodes.total))
    out: list[PreflightCheck] = []
    if recipe.model.hub_id is None:
        out.append(PreflightCheck(kind="dir", subject=recipe.model.path, nodes=every, why="model.path"))
    out += [
        PreflightCheck(kind="dir", subject=notation(m.source), nodes=every, why=m.origin)
        for m in model.mounts(recipe)
    ]
    out += _setup_script(recipe, every)
    out += _inputs(job, made)
    if plugin.runtime(recipe.site.runtime).maps_paths:
        out += _images(job, made)
        out += [
            PreflightCheck(kind="path", subject=source.text, nodes=every, why=m.origin)
            for m in recipe.mounts
            if isinstance(source := filled(m.source, recipe), Lit)
        ]
    out += [
        PreflightCheck(kind="port", subject=str(p), nodes=(n,), why=step) for n, p, step in made.listening
    ]
    if recipe.site.gpus_per_node_directive:
        per_node = str(recipe.resources.gpus_per_node)
        out.append(
            PreflightCheck(kind="gpus", subject=per_node, nodes=nodes.workers, why="resources.gpus_per_node")
        )
    return tuple(out)


def check(recipe: Recipe) -> Iterable[Finding]:
    """What the steps read in folders that only the image can bring, so that no node can be asked for it (SP216)."""
    if not plugin.runtime(recipe.site.runtime).maps_paths:
        return
    wanted: list[tuple[Path, str, tuple[str, ...]]] = []
    if script := recipe.setup_script:
        wanted.append((("setup_script",), script, (f"{CONFIGS}/{script}", f"{CONFIGS}/patches/{script}")))
    if installs_dynamo(recipe) and (wheel := recipe.dynamo.wheel):
        wanted.append((("dynamo", "wheel"), wheel, (WHEELS, f"{CONFIGS}/dynamo-wheels", CONFIGS)))
    for path, value, places in wanted:
        if not any(is_mounted(recipe, place) for place in places):
            yield Finding(
                rule="SP216",
                path=path,
                severity="warning",
                message=f"'{value}' is looked for in the image: nothing is mounted at {' or '.join(places)}",
                help="set srtctl_root in the profile, or mount a folder at /configs",
            )


def _setup_script(recipe: Recipe, nodes: tuple[int, ...]) -> list[PreflightCheck]:
    """The script that each worker and frontend runs first, where the folder behind /configs is known."""
    inside = plugin.runtime(recipe.site.runtime).maps_paths
    known = not inside or is_mounted(recipe, CONFIGS)
    folder = (host_path(recipe, CONFIGS) if inside else CONFIGS) if known else None
    if not recipe.setup_script or folder is None:
        return []
    places = [f"{folder}/{recipe.setup_script}", f"{folder}/patches/{recipe.setup_script}"]
    return [PreflightCheck(kind="any", subject=":".join(places), nodes=nodes, why="setup_script")]


def _inputs(job: JobContext, made: Launches) -> list[PreflightCheck]:
    """What the benchmark's client reads, on its node."""
    maps = plugin.runtime(job.recipe.site.runtime).maps_paths
    at = (job.topology.nodes.bench,)
    out = []
    for given in made.benchmark.inputs:
        is_url = "://" in given.path
        path = given.path if is_url or not maps else host_path(job.recipe, given.path)
        if path:
            out.append(
                PreflightCheck(kind="url" if is_url else "path", subject=path, nodes=at, why=given.why)
            )
    return out


def _images(job: JobContext, made: Launches) -> list[PreflightCheck]:
    """Images that are files, each on the nodes of the steps that use it."""
    where: dict[str, set[int]] = {}
    for step in made.steps:
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
