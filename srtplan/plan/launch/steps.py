"""Steps: what is launched, in start order: services, workers, nginx, frontends, benchmark.

The plugins say what runs; this module adds where it runs, in what image, with which mounts, environment and srun options.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from attrs import evolve, frozen

from srtplan import plugin
from srtplan.ir.plan import TIER, Container, EnvVar, Mount, PlanFile, SrunOption, Step
from srtplan.ir.recipe import Recipe
from srtplan.ir.shell import BUNDLE_DIR, JOB_ID, Lit, Word, Words, ip, word, words
from srtplan.plan.launch import (
    benchmark_table,
    environment,
    listening,
    nginx,
    observability,
    profiling,
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

Listening = tuple[int, int, str]
"""(node, port, step) of a port that a step opens."""


@frozen(kw_only=True, eq=False, repr=False)
class Launches:
    """All steps of a job, the files they read, and the ports they open."""

    steps: tuple[Step, ...]
    files: tuple[PlanFile, ...]
    listening: tuple[Listening, ...]
    benchmark: BenchmarkCommand


def launches(job: JobContext, layout: FrontendLayout) -> Launches:
    """Everything that is launched, in order.

    Services, then what prepares the nodes, then the workers wave by wave; frontends wait for the services, the benchmark
    for the frontends.
    """
    services = list(_services(job))
    prepared = list(_prepare(job, after=_names(services)))
    workers = _workers(job, after=(*_names(services), *_names(prepared)))
    frontends = list(_frontends(job, layout, after=_names(services)))
    bench, benchmark = _benchmark(job, after=_names(frontends))
    made = [*services, *prepared, *workers, *frontends, *bench]
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


def _names(made: Iterable[Made]) -> tuple[str, ...]:
    return tuple(step.name for step, _ in made)


def _services(job: JobContext) -> Iterable[Made]:
    recipe, at = job.recipe, job.topology.nodes.infra
    for name in services(recipe):
        service = plugin.service(name)
        command = evolve(service.command(ServiceContext(job=job, node=at)), listens=service.ports(recipe))
        step = _step(
            job, command, name=service_step(name), kind="infra", stage="infra", nodes=(at,),
            first=_configs_on_path(recipe), image=command.image,
        )  # fmt: skip
        yield step, command


def _prepare(job: JobContext, *, after: tuple[str, ...]) -> Iterable[Made]:
    """What brings the model to the nodes, if anything does; a download that fails is tried again by the workers."""
    if (wanted := staging.command(job)) is None:
        return
    name, command, nodes = wanted
    downloads = name == "fetch_model"
    step = _step(
        job, command, name=name, kind="prepare", stage="prepare", nodes=nodes, ntasks=len(nodes), after=after,
        critical=not downloads, env_from=job.recipe.env_from if downloads else (),
    )  # fmt: skip
    yield step, command


def _workers(job: JobContext, *, after: tuple[str, ...]) -> list[Made]:
    """In start order: wave by wave, each after the one before."""
    numbers = waves.waves(job)
    by_wave: dict[int, list[WorkerContext]] = defaultdict(list)
    for ctx in _contexts(job):
        by_wave[numbers[ctx.endpoint.name]].append(ctx)
    made: list[Made] = []
    before: tuple[str, ...] = ()
    for wave in sorted(by_wave):
        launched = [_worker(ctx, wave, after=(*after, *before)) for ctx in by_wave[wave]]
        made += launched
        before = _names(launched)
    return made


def _contexts(job: JobContext) -> Iterable[WorkerContext]:
    """One per worker step."""
    engine = plugin.engine(job.recipe.engine.type)
    for endpoint in job.topology.endpoints:
        role = job.recipe.resources.role(endpoint.mode)
        assert role is not None  # noqa: S101 -- endpoints are made from the roles
        peers = job.topology.of(endpoint)
        for process in peers if engine.launch == "process" else peers[:1]:
            yield WorkerContext(job=job, role=role, endpoint=endpoint, process=process, peers=peers)


def _worker(ctx: WorkerContext, wave: int, *, after: tuple[str, ...]) -> Made:
    job, role, endpoint, process, peers = ctx.job, ctx.role, ctx.endpoint, ctx.process, ctx.peers
    recipe = job.recipe
    engine = plugin.engine(recipe.engine.type)
    command = listening.with_ports(ctx, engine, profiling.worker(ctx, engine.command(ctx)))
    whole = engine.launch == "endpoint"
    step = _step(
        job,
        command,
        name=worker_step(engine, process, len(peers)),
        kind="worker",
        stage="worker",
        nodes=endpoint.nodes if whole else (process.node,),
        ntasks=len(endpoint.nodes) * len(endpoint.gpus) if whole else 1,
        env=environment.worker(ctx, engine, command),
        srun=(*recipe.srun_options, *role.srun_options),
        first=_preamble(job),
        image=role.container,
        after=after,
        env_from=recipe.env_from,
        mode=endpoint.mode,
        endpoint=endpoint.index,
        rank=process.rank,
        critical=role.critical,
        restart=role.restart,
        wave=wave,
    )
    return step, command


def _frontends(job: JobContext, layout: FrontendLayout, *, after: tuple[str, ...]) -> Iterable[Made]:
    recipe = job.recipe
    frontend = plugin.frontend(recipe.frontend.type)
    if layout.nginx is not None:
        command = nginx.command(job)
        step = _step(
            job, command, name="nginx", kind="nginx", stage="frontend", nodes=(layout.nginx,),
            image=recipe.frontend.nginx_container, remap_root=True, after=after,
        )  # fmt: skip
        yield step, command
    for index, (node, port) in enumerate(layout.frontends):
        command = frontend.command(FrontendContext(job=job, index=index, node=node, port=port))
        own = (*recipe.environment, *recipe.frontend.env)
        asked = environment.from_recipe(own, at=node, nodes=job.topology.nodes)
        env = (observability.frontend(job), command.env, asked)
        step = _step(
            job, command, name=f"{frontend.step_name}_{index}", kind="frontend", stage="frontend",
            nodes=(node,), env=env, env_from=recipe.env_from, first=_preamble(job), after=after,
        )  # fmt: skip
        yield step, command


def _benchmark(job: JobContext, *, after: tuple[str, ...]) -> tuple[list[Made], BenchmarkCommand]:
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
    scratch = words("setup::tmpdir", word("/tmp/srtplan-", JOB_ID, "-benchmark"))  # noqa: S108 -- made fresh, per job
    command = evolve(answer.command, runs=runs)
    step = _step(
        job, command, name="benchmark", kind="benchmark", stage="benchmark", nodes=(nodes.bench,), env=env,
        env_from=recipe.env_from, srun=recipe.srun_options, first=(scratch,), image=answer.image, after=after,
        extra_mounts=input_mounts(recipe, answer.inputs), terminal=True, critical=False,
    )  # fmt: skip
    return [(step, command)], answer


def public_url(job: JobContext) -> Word:
    """``http://ADDRESS:PORT`` of the public endpoint."""
    return word("http://", ip(job.public_node), ":", job.public_port)


def _step(
    job: JobContext,
    command: Command,
    *,
    name: str,
    kind: str,
    nodes: tuple[int, ...],
    ntasks: int = 1,
    env: environment.Layers | None = None,
    srun: Iterable[tuple[str, str]] = (),
    image: str | None = None,
    remap_root: bool = False,
    extra_mounts: tuple[Mount, ...] = (),
    first: tuple[Words, ...] = (),
    **more: Any,  # noqa: ANN401 -- fields of a step that are as they are given
) -> Step:
    """A step; ``first`` are calls that stand before the command's own preamble."""
    recipe = job.recipe
    container, mounts, entry = _entered(
        job, image or recipe.model.container, remap_root=remap_root, extra_mounts=extra_mounts
    )
    base = (
        (environment.REMAP_ROOT,)
        if kind in ("worker", "frontend") and installs_dynamo(recipe) and mounts
        else ()
    )
    options = (*_component(job, nodes), *command.srun, *_options(srun), *entry)
    return Step(
        name=name,
        kind=kind,
        nodes=nodes,
        ntasks=ntasks,
        argv=command.argv,
        runs=command.runs,
        srun=options,
        container=container,
        mounts=mounts,
        env=environment.layered(*(env or (command.env,)), base),
        preamble=(*_site_preamble(recipe), *first, *command.preamble),
        log=f"{name}.out",
        tier=TIER[kind],
        note=command.note,
        **more,
    )


@lru_cache(maxsize=8)
def _entered(
    job: JobContext, image: str, *, remap_root: bool, extra_mounts: tuple[Mount, ...]
) -> tuple[Container, tuple[Mount, ...], tuple[SrunOption, ...]]:
    """How steps get into an image; the thousands that get into the same share one answer."""
    recipe = job.recipe
    runtime = plugin.runtime(recipe.site.runtime)
    container = Container(image=image, runtime=recipe.site.runtime, remap_root=remap_root)
    own = (*job_mounts(recipe, job.topology.nodes.head), *extra_mounts) if runtime.maps_paths else ()
    return container, own, runtime.srun(container, own)


def _component(job: JobContext, nodes: tuple[int, ...]) -> tuple[SrunOption, ...]:
    """In a heterogeneous job srun must be told the component of its nodes."""
    roles = job.topology.nodes
    return (SrunOption(name="het-group", value=word(roles.component(nodes[0]))),) if roles.components else ()


def _options(pairs: Iterable[tuple[str, str]]) -> tuple[SrunOption, ...]:
    merged = {k.lstrip("-"): v for k, v in pairs}
    return tuple(SrunOption(name=k, value=Lit(v) if v else None) for k, v in merged.items())


def _site_preamble(recipe: Recipe) -> tuple[Words, ...]:
    if not recipe.site.bash_preamble:
        return ()
    return (words("setup::bash_preamble", word(BUNDLE_DIR, "/files/preamble.sh")),)


def _configs_on_path(recipe: Recipe) -> tuple[Words, ...]:
    return (words("setup::path_prepend", "/configs"),) if recipe.site.srtctl_root else ()


@lru_cache(maxsize=4)
def _preamble(job: JobContext) -> tuple[Words, ...]:
    """What workers and frontends do first."""
    recipe = job.recipe
    calls: list[Words] = []
    if recipe.setup_script:
        calls.append(words("setup::script", recipe.setup_script))
    if installs_dynamo(recipe):
        calls.append(_install(recipe))
    return tuple(calls)


def installs_dynamo(recipe: Recipe) -> bool:
    """Dynamo is put into the containers of workers and frontends at start."""
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
