"""The steps of a job in start order: services, preparation, workers, nginx, frontends, benchmark.

The plugins provide the commands; this module adds nodes, image, mounts, environment and srun options.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache

from attrs import evolve, frozen

from srtplan import plugin
from srtplan.ir.plan import Container, EnvVar, Mount, PlanFile, SrunOption, Stage, Step
from srtplan.ir.recipe import Recipe
from srtplan.ir.shell import BUNDLE_DIR, JOB_ID, Lit, Word, Words, ip, word, words
from srtplan.plan.launch import (
    benchmark_table,
    environment,
    listening,
    nginx,
    observability,
    profiling,
    srun,
    staging,
    status_report,
)
from srtplan.plan.launch.mounts import input_mounts, job_mounts
from srtplan.plan.launch.names import service_step, services, worker_step
from srtplan.plan.topology import waves
from srtplan.plan.topology.frontends import FrontendLayout
from srtplan.plugin import (
    BenchmarkCommand,
    BenchmarkContext,
    Command,
    FrontendContext,
    JobContext,
    ServiceContext,
    WorkerContext,
)

BENCHMARK_TIER, NGINX_TIER, FRONTEND_TIER, WORKER_TIER, INFRA_TIER = range(5)
"""The order of stopping: clients first, and the services that everything depends on last."""
Listening = tuple[int, int, str]
"""(node, port, step) of a port that a step listens on."""


@frozen(kw_only=True, eq=False, repr=False)
class Launches:
    """All steps of a job, the files that they read, and the ports that they listen on."""

    steps: tuple[Step, ...]
    files: tuple[PlanFile, ...]
    listening: tuple[Listening, ...]
    benchmark: BenchmarkCommand


def launches(job: JobContext, layout: FrontendLayout) -> Launches:
    """The steps of a job, with their files and ports."""
    bench, benchmark = _benchmark(job)
    made = [*_services(job), *_prepare(job), *_workers(job), *_frontends(job, layout), *bench]
    own = (*benchmark_table.files(job, benchmark), *status_report.files(job.recipe))
    files = {f.path: f for f in (*(f for _, c in made for f in c.files), *own)}
    if job.recipe.site.bash_preamble:
        files["preamble.sh"] = PlanFile(path="preamble.sh", content=Lit(job.recipe.site.bash_preamble))
    return Launches(
        steps=tuple(s for s, _ in made),
        files=tuple(files[p] for p in sorted(files)),
        listening=tuple((s.nodes[0], port, s.name) for s, c in made for port in c.listens or ()),
        benchmark=benchmark,
    )


Made = tuple[Step, Command]


def _services(job: JobContext) -> Iterable[Made]:
    recipe, at = job.recipe, job.topology.nodes.infra
    for name in services(recipe):
        service = plugin.service(name)
        command = evolve(service.command(ServiceContext(job=job, node=at)), listens=service.ports(recipe))
        step = _step(
            job, command, name=service_step(name), stage="infra", tier=INFRA_TIER, nodes=(at,),
            first=_configs_on_path(recipe), image=command.image,
        )  # fmt: skip
        yield step, command


def _prepare(job: JobContext) -> Iterable[Made]:
    """The step that provides the model. A download is not critical, because workers repeat it."""
    if (wanted := staging.command(job)) is None:
        return
    name, command, nodes = wanted
    downloads = name == "fetch_model"
    step = _step(job, command, name=name, stage="prepare", tier=WORKER_TIER, nodes=nodes, ntasks=len(nodes))
    secrets = job.recipe.env_from if downloads else ()
    yield evolve(step, critical=not downloads, env_from=secrets), command


def _workers(job: JobContext) -> Iterable[Made]:
    """The worker steps in start order, wave by wave."""
    wave_of = waves.waves(job)
    by_wave: dict[int, list[WorkerContext]] = defaultdict(list)
    for ctx in _contexts(job):
        by_wave[wave_of[ctx.endpoint.name]].append(ctx)
    return (_worker(ctx) for wave in sorted(by_wave) for ctx in by_wave[wave])


def _contexts(job: JobContext) -> Iterable[WorkerContext]:
    """One context per worker step."""
    engine = plugin.engine(job.recipe.engine.type)
    for endpoint in job.topology.endpoints:
        role = job.recipe.resources.role(endpoint.mode)
        assert role is not None  # noqa: S101 -- every endpoint has a role
        peers = job.topology.of(endpoint)
        for process in peers if engine.launch == "process" else peers[:1]:
            yield WorkerContext(job=job, role=role, endpoint=endpoint, process=process, peers=peers)


def _worker(ctx: WorkerContext) -> Made:
    job, role, endpoint, process, peers = ctx.job, ctx.role, ctx.endpoint, ctx.process, ctx.peers
    recipe = job.recipe
    engine = plugin.engine(recipe.engine.type)
    command = listening.with_ports(ctx, engine, profiling.worker(ctx, engine.command(ctx)))
    whole = engine.launch == "endpoint"
    step = _step(
        job,
        command,
        name=worker_step(engine, process, len(peers)),
        stage="worker",
        tier=WORKER_TIER,
        nodes=endpoint.nodes if whole else (process.node,),
        ntasks=len(endpoint.nodes) * len(endpoint.gpus) if whole else 1,
        env=environment.worker(ctx, engine, command),
        srun_options=srun.from_recipe((*recipe.srun_options, *role.srun_options)),
        first=_preamble(job),
        image=role.container,
    )
    worker = evolve(
        step,
        env_from=recipe.env_from,
        mode=endpoint.mode,
        endpoint=endpoint.index,
        rank=process.rank,
        critical=role.critical,
        restart=role.restart,
    )
    return worker, command


def _frontends(job: JobContext, layout: FrontendLayout) -> Iterable[Made]:
    recipe = job.recipe
    frontend = plugin.frontend(recipe.frontend.type)
    if layout.nginx is not None:
        command = nginx.command(job)
        step = _step(
            job, command, name="nginx", stage="frontend", tier=NGINX_TIER, nodes=(layout.nginx,),
            image=recipe.frontend.nginx_container, remap_root=True,
        )  # fmt: skip
        yield step, command
    for index, (node, port) in enumerate(layout.frontends):
        command = frontend.command(FrontendContext(job=job, index=index, node=node, port=port))
        own = (*recipe.environment, *recipe.frontend.env)
        asked = environment.from_recipe(own, at=node, nodes=job.topology.nodes)
        env = (observability.frontend(job), command.env, asked)
        step = _step(
            job, command, name=f"{frontend.step_name}_{index}", stage="frontend", tier=FRONTEND_TIER,
            nodes=(node,), env=env, first=_preamble(job),
        )  # fmt: skip
        yield evolve(step, env_from=recipe.env_from), command


def _benchmark(job: JobContext) -> tuple[list[Made], BenchmarkCommand]:
    recipe, nodes = job.recipe, job.topology.nodes
    url = public_url(job)
    ctx = BenchmarkContext(
        job=job, node=nodes.bench, url=url, client=plugin.engine(recipe.engine.type).client
    )
    answer = plugin.benchmark(recipe.benchmark.type).command(ctx)
    if answer.command is None:
        return [], answer
    own = (
        EnvVar(name="OPENAI_API_KEY", value=Lit("EMPTY")),
        EnvVar(name="SRT_FRONTEND_HOST", value=ip(job.public_node)),
        EnvVar(name="SRT_FRONTEND_PORT", value=word(job.public_port)),
        EnvVar(name="SRT_FRONTEND_URL", value=url),
        EnvVar(name="SRTCTL_FRONTEND_TYPE", value=Lit(recipe.frontend.type)),
        EnvVar(name="SRT_BENCH_RETRIES", value=word(recipe.benchmark.retries)),
        EnvVar(name="SRT_BENCH_MAX_FAILED_SHARE", value=Lit(f"{recipe.benchmark.max_failed_share:g}")),
    )
    env = (own, environment.from_recipe(recipe.environment, at=nodes.bench, nodes=nodes), answer.command.env)
    runs = profiling.around(job, _contexts(job), answer.command.runs)
    scratch = words("setup::tmpdir", word("/tmp/srtplan-", JOB_ID, "-benchmark"))  # noqa: S108 -- a private directory named after the job
    command = evolve(answer.command, runs=runs)
    step = _step(
        job, command, name="benchmark", stage="benchmark", tier=BENCHMARK_TIER, nodes=(nodes.bench,), env=env,
        srun_options=srun.from_recipe(recipe.srun_options), first=(scratch,), image=answer.image,
        extra_mounts=input_mounts(recipe, answer.inputs),
    )  # fmt: skip
    return [(evolve(step, env_from=recipe.env_from, terminal=True, critical=False), command)], answer


def public_url(job: JobContext) -> Word:
    """The URL of the public endpoint, ``http://ADDRESS:PORT``."""
    return word("http://", ip(job.public_node), ":", job.public_port)


def _step(  # noqa: PLR0913 -- the properties in which steps differ
    job: JobContext,
    command: Command,
    *,
    name: str,
    stage: Stage,
    tier: int,
    nodes: tuple[int, ...],
    ntasks: int = 1,
    env: environment.Layers | None = None,
    srun_options: tuple[SrunOption, ...] = (),
    image: str | None = None,
    remap_root: bool = False,
    extra_mounts: tuple[Mount, ...] = (),
    first: tuple[Words, ...] = (),
) -> Step:
    """A critical step; ``first`` are calls before the preamble of the command."""
    recipe = job.recipe
    container, mounts, entry = _entered(
        job, image or recipe.model.container, remap_root=remap_root, extra_mounts=extra_mounts
    )
    runs_dynamo = stage in ("worker", "frontend") and tier != NGINX_TIER and installs_dynamo(recipe)
    remapped = (environment.REMAP_ROOT,) if runs_dynamo and mounts else ()
    component = srun.component(job.topology.nodes, nodes)
    return Step(
        name=name,
        stage=stage,
        nodes=nodes,
        argv=command.argv,
        runs=command.runs,
        srun=srun.options(name, nodes, ntasks, component, command.srun, srun_options, entry),
        container=container,
        mounts=mounts,
        env=environment.merge_layers(*(env or (command.env,)), remapped),
        preamble=(*_site_preamble(recipe), *first, *command.preamble),
        tier=tier,
        note=command.note,
        stand_in=command.stand_in,
    )


@lru_cache(maxsize=8)
def _entered(
    job: JobContext, image: str, *, remap_root: bool, extra_mounts: tuple[Mount, ...]
) -> tuple[Container, tuple[Mount, ...], tuple[SrunOption, ...]]:
    """Container, mounts and srun options for an image; cached, because thousands of steps share them."""
    recipe = job.recipe
    runtime = plugin.runtime(recipe.site.runtime)
    container = Container(image=image, runtime=recipe.site.runtime, remap_root=remap_root)
    own = (*job_mounts(recipe, job.topology.nodes.head), *extra_mounts) if runtime.maps_paths else ()
    return container, own, runtime.srun(container, own)


def _site_preamble(recipe: Recipe) -> tuple[Words, ...]:
    if not recipe.site.bash_preamble:
        return ()
    return (words("setup::bash_preamble", word(BUNDLE_DIR, "/files/preamble.sh")),)


def _configs_on_path(recipe: Recipe) -> tuple[Words, ...]:
    return (words("setup::path_prepend", "/configs"),) if recipe.site.srtctl_root else ()


@lru_cache(maxsize=4)
def _preamble(job: JobContext) -> tuple[Words, ...]:
    """The calls that workers and frontends run first."""
    recipe = job.recipe
    calls: list[Words] = []
    if recipe.setup_script:
        calls.append(words("setup::script", recipe.setup_script))
    if installs_dynamo(recipe):
        calls.append(_install(recipe))
    return tuple(calls)


def installs_dynamo(recipe: Recipe) -> bool:
    """Return whether workers and frontends install Dynamo at their start."""
    return recipe.dynamo.install and plugin.frontend(recipe.frontend.type).installs_dynamo


def _install(recipe: Recipe) -> Words:
    dynamo = recipe.dynamo
    if dynamo.wheel:
        return words("setup::dynamo_wheel", dynamo.wheel)
    if dynamo.hash:
        return words("setup::dynamo_source", dynamo.hash, *dynamo.cargo_patches)
    if dynamo.top_of_tree:
        return words("setup::dynamo_source", "HEAD")
    return words("setup::dynamo_pypi", dynamo.version or "")
