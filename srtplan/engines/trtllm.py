"""TensorRT-LLM: one MPI launch per worker across all its nodes, with one task per GPU.

The role's options become the engine's file ``trtllm_config_<mode>.yaml``, first in the bundle, then in the log directory::

    srun --mpi=pmix --nodes=2 --ntasks=8 ...  trtllm-llmapi-launch python3 -m dynamo.trtllm --model-path /model
      --served-model-name DeepSeek-R1 --disaggregation-mode decode --extra-engine-args /logs/trtllm_config_decode.yaml ...

With the ``trtllm_serve`` frontend, the same launch runs ``trtllm-serve`` with an HTTP port.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from srtplan import flags
from srtplan.engines import _stores
from srtplan.plugin import (
    JOB_ID,
    Command,
    Engine,
    EnvVar,
    Finding,
    Lit,
    Map,
    PlanFile,
    Port,
    Profile,
    ProfileRequest,
    Recipe,
    Role,
    SrunOption,
    StandIn,
    Word,
    Words,
    WorkerContext,
    dynamo_ports,
    interface,
    no_effect,
    override,
    word,
    words,
)

NUMA_GPUS = ("gb200", "gb300")
STATISTICS = ("enable_iter_perf_stats", "return_perf_metrics")
"""Keys of the engine's file that `observability` sets, unless the recipe does."""
SIZES = {
    "TP": ("tensor-parallel-size", "tp-size"),
    "PP": ("pipeline-parallel-size", "pp-size"),
    "CP": ("context-parallel-size", "cp-size"),
}
"""Sizes that are compared with the GPUs of a worker: keys of the file, and flags of the two programs."""
SRUN = (
    SrunOption(name="mpi", value=Lit("pmix")),
    SrunOption(name="oversubscribe"),
    SrunOption(name="cpu-bind", value=Lit("verbose,none")),
)
PARALLEL = ("tensor_parallel_size", "moe_expert_parallel_size", "pipeline_parallel_size")


@frozen(kw_only=True)
class Options:
    """Options of the engine as a whole.

    ``publish_events_and_metrics`` defaults to ``observability.enabled``.
    ``sequential_node_start``: 0 starts all workers at once; N starts N per node, and the next N once those are healthy.
    ``numa_memory_bind``: true binds memory to the CPUs' NUMA nodes; the default does so on GB200 and GB300 (disaggregated).
    """

    publish_events_and_metrics: bool | None = None
    sequential_node_start: int = 0
    numa_memory_bind: bool | None = None


class TensorRTLLM(
    Engine[Options],
    name="trtllm",
    interfaces=("dynamo", "trtllm_http"),
    client="trtllm",
    launch="endpoint",
    profilers=("nsys", "nsys-time"),
):
    """The TensorRT-LLM engine."""

    @override
    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Report invalid sizes and batches, ``kv_events_config``, and options that have no effect."""
        for role in recipe.resources.roles:
            names = [n for spelled in SIZES.values() for n in spelled]
            yield from flags.check_sizes(role.args, role.extra_args, role.args_at, role.extra_args_at, *names)
            if role.kv_events is not None:
                yield Finding(
                    rule="SP505",
                    path=role.kv_events_at,
                    on_key=True,
                    message="TensorRT-LLM does not read kv_events_config",
                    help="set `publish_events_and_metrics: true` under the engine's options",
                )
        own = self.options_of(recipe)
        if own.publish_events_and_metrics and interface(recipe) != "dynamo":
            why = f"trtllm-serve, used with the {recipe.frontend.type} frontend, has no such option"
            yield no_effect((*recipe.engine.at, "publish_events_and_metrics"), why)
        if own.sequential_node_start < 0:
            yield Finding(
                rule="SP506",
                path=(*recipe.engine.at, "sequential_node_start"),
                message="sequential_node_start must be at least 0",
            )

    @override
    def ports(self, recipe: Recipe, role: Role) -> tuple[Port, ...]:
        """Return Dynamo's ports per node, although one launch serves all nodes."""
        return dynamo_ports(recipe, role, kvbm=_stores.uses_kvbm(recipe, role))

    @override
    def starts_at_once(self, recipe: Recipe) -> int:
        """Return ``sequential_node_start`` of the recipe."""
        return self.options_of(recipe).sequential_node_start

    @override
    def gpus_used(self, recipe: Recipe, role: Role) -> tuple[int, str] | None:
        """Return TP x PP x CP; attention data parallelism and experts are part of TP."""
        del recipe
        sizes = {k: _size(role, *names) for k, names in SIZES.items()}
        set_sizes = {k: v for k, v in sizes.items() if v is not None}
        if not set_sizes:
            return None
        total = 1
        for v in set_sizes.values():
            total *= v
        return total, " x ".join(f"{k} {v}" for k, v in set_sizes.items() if v != 1 or k == "TP")

    @override
    def command(self, ctx: WorkerContext) -> Command:
        """Return the launch of a whole worker; see the module's docstring."""
        own = self.options_of(ctx.job.recipe)
        direct = ctx.job.interface != "dynamo"
        config = f"trtllm_config_{ctx.role.mode}.yaml"
        path = word(ctx.job.logs, f"/{config}")
        shm = word("moe_shared_", JOB_ID, f"_{ctx.endpoint.name}")
        return Command(
            argv=(
                *_numactl(ctx, own),
                *words("trtllm-llmapi-launch"),
                *(_serve(ctx, path) if direct else _dynamo(ctx, path, own)),
                *words(*ctx.role.extra_args),
            ),
            env=(EnvVar(name="TRTLLM_EPLB_SHM_NAME", value=shm), *_stores.kvbm(ctx)),
            srun=SRUN,
            files=_files(ctx, config),
            listens=((ctx.http_port,) if direct else (ctx.process.port("system"),)) + _stores.kvbm_ports(ctx),
            note=f"TensorRT-LLM {ctx.endpoint.mode} worker {ctx.endpoint.index}",
            stand_in=StandIn(
                behavior="openai_server" if direct else "dynamo_worker",
                wrappers=(*(("numactl",) if _numactl(ctx, own) else ()), "trtllm-llmapi-launch"),
            ),
        )

    @override
    def profile(self, ctx: WorkerContext, request: ProfileRequest) -> Profile:
        """Return the variables of the window; the engine counts iterations itself, so no call is needed."""
        del ctx
        if request.type == "nsys-time":
            return Profile()
        window = Lit(f"{request.start_step}-{request.stop_step}")
        return Profile(
            env=(
                EnvVar(name="TLLM_LLMAPI_ENABLE_NVTX", value=Lit("1")),
                EnvVar(name="TLLM_PROFILE_START_STOP", value=window),
            )
        )


def _files(ctx: WorkerContext, path: str) -> tuple[PlanFile, ...]:
    """Return the engine's file; there is one per mode, so only the first worker adds it."""
    if ctx.endpoint.index:
        return ()
    return (PlanFile(path=path, content=_args(ctx), run_time=True),)


def _numactl(ctx: WorkerContext, own: Options) -> Words:
    recipe = ctx.job.recipe
    bind = own.numa_memory_bind
    if bind is None:
        bind = recipe.resources.gpu_type.lower() in NUMA_GPUS and ctx.role.mode != "agg"
    return words("numactl", "-m", "0,1") if bind else ()


def _dynamo(ctx: WorkerContext, config: Word, own: Options) -> Words:
    job = ctx.job
    mode = () if ctx.role.mode == "agg" else ("--disaggregation-mode", ctx.role.mode)
    events = ("--publish-events-and-metrics",) if _publishes(job.recipe, own) else ()
    return words(
        *("python3", "-m", "dynamo.trtllm", "--model-path", ctx.model),
        *("--served-model-name", job.served_model_name, *mode, "--extra-engine-args", config),
        *("--request-plane", job.recipe.dynamo.request_plane, *events),
    )


def _serve(ctx: WorkerContext, config: Word) -> Words:
    sizes = [
        w
        for k in PARALLEL
        if (number := flags.number(ctx.role.args.get(k))) is not None
        for w in (f"--{k}", str(number))
    ]
    listen = ("--host", "0.0.0.0", "--port", ctx.http_port)  # noqa: S104 -- the orchestrator is on another node
    return words("trtllm-serve", ctx.model, *listen, *sizes, "--config", config)


def _size(role: Role, *names: str) -> int | None:
    return flags.count(role.args, role.extra_args, *names)


def _publishes(recipe: Recipe, own: Options) -> bool:
    publish = own.publish_events_and_metrics
    return recipe.observability.enabled if publish is None else publish


def _args(ctx: WorkerContext) -> Map:
    """Return the role's options, with those that observability adds."""
    own = ctx.role.args
    added = STATISTICS if ctx.job.recipe.observability.enabled else ()
    return Map((*own.pairs, *((key, True) for key in added if key not in own)))


PLUGIN = TensorRTLLM()
