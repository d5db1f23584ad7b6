"""TensorRT-LLM: one MPI launch per worker, over all its nodes, one task per GPU.

The role's options are the engine's YAML file ``trtllm_config_<mode>.yaml``, in the bundle and then in the log directory::

    srun --mpi=pmix --nodes=2 --ntasks=8 ...  trtllm-llmapi-launch python3 -m dynamo.trtllm --model-path /model
      --served-model-name DeepSeek-R1 --disaggregation-mode decode --extra-engine-args /logs/trtllm_config_decode.yaml ...

Behind ``trtllm_serve`` the same launch runs ``trtllm-serve`` with an HTTP port.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from attrs import field, frozen

from srtplan import flags
from srtplan.diagnostics import Finding, no_effect
from srtplan.engines import _stores
from srtplan.ir.data import Map
from srtplan.ir.plan import EnvVar, PlanFile, SrunOption, StandIn
from srtplan.ir.recipe import Recipe, Role
from srtplan.ir.shell import JOB_ID, Lit, Word, Words, word, words
from srtplan.plugin import Command, Interface, Profile, ProfileRequest, Shape, WorkerContext, frontend

NUMA_GPUS = ("gb200", "gb300")
STATISTICS = ("enable_iter_perf_stats", "return_perf_metrics")
"""Keys of the engine's file that `observability` sets, unless the recipe does."""
SIZES = {
    "TP": ("tensor-parallel-size", "tp-size"),
    "PP": ("pipeline-parallel-size", "pp-size"),
    "CP": ("context-parallel-size", "cp-size"),
}
"""Sizes that the GPUs of a worker are compared with: keys of the file, and flags of the two programs."""
SRUN = (
    SrunOption(name="mpi", value=Lit("pmix")),
    SrunOption(name="oversubscribe"),
    SrunOption(name="cpu-bind", value=Lit("verbose,none")),
)
PARALLEL = ("tensor_parallel_size", "moe_expert_parallel_size", "pipeline_parallel_size")


@frozen(kw_only=True)
class Options:
    """Options of the engine as a whole.

    ``publish_events_and_metrics``: null is what `observability.enabled` says.
    ``sequential_node_start``: 0 starts all workers at once, N in batches of N per node, each healthy before the next.
    ``numa_memory_bind``: null binds memory to the CPUs' nodes on GB200 and GB300 (disaggregated), true and false force.
    """

    publish_events_and_metrics: bool | None = None
    sequential_node_start: int = 0
    numa_memory_bind: bool | None = None


@frozen(eq=False, repr=False)
class TensorRTLLM:
    """The engine plugin."""

    name: str = "trtllm"
    options: type[object] = Options
    interfaces: frozenset[Interface] = field(default=frozenset(("dynamo", "trtllm_http")))
    client: str = "trtllm"
    launch: Literal["process", "endpoint"] = "endpoint"
    ports: tuple[str, ...] = ()
    profilers: frozenset[str] = frozenset(("nsys", "nsys-time"))

    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """KV events are published by a flag of the engine, not by ``kv_events_config``."""
        for role in recipe.resources.roles:
            names = [n for spelled in SIZES.values() for n in spelled]
            yield from flags.sizes(role.args, role.extra_args, role.args_at, role.extra_args_at, *names)
            if role.kv_events is not None:
                yield Finding(
                    rule="SP505",
                    path=role.kv_events_at,
                    on_key=True,
                    message="TensorRT-LLM publishes KV events by 'publish_events_and_metrics'",
                    help="set backend.publish_events_and_metrics: true instead",
                )
        if _options(recipe).publish_events_and_metrics and not _behind_dynamo(recipe):
            why = f"trtllm-serve behind the {recipe.frontend.type} frontend has no such option"
            yield no_effect((*recipe.engine.at, "publish_events_and_metrics"), why)
        if _options(recipe).sequential_node_start < 0:
            yield Finding(
                rule="SP506",
                path=(*recipe.engine.at, "sequential_node_start"),
                message="sequential_node_start must be 0 or more",
            )

    def shape(self, recipe: Recipe, role: Role) -> Shape:
        """One process per node for the ports; the launch is one for all of them."""
        return Shape(kvbm=_stores.uses_kvbm(recipe, role))

    def shares_nodes(self, recipe: Recipe) -> bool:
        """Never."""
        del recipe
        return False

    def services(self, recipe: Recipe) -> tuple[str, ...]:
        """None."""
        del recipe
        return ()

    def starts_at_once(self, recipe: Recipe) -> int:
        """``sequential_node_start`` of the recipe."""
        return _options(recipe).sequential_node_start

    def gpus_asked(self, recipe: Recipe, role: Role) -> tuple[int, str] | None:
        """TP x PP x CP; attention data parallelism and experts live inside TP."""
        del recipe
        sizes = {k: _size(role, *names) for k, names in SIZES.items()}
        given = {k: v for k, v in sizes.items() if v is not None}
        if not given:
            return None
        total = 1
        for v in given.values():
            total *= v
        return total, " x ".join(f"{k} {v}" for k, v in given.items() if v != 1 or k == "TP")

    def port_base(self, role: Role, kind: str) -> int | None:
        """It has no port options in its file."""
        del role, kind
        return None

    def served_name(self, recipe: Recipe) -> str | None:
        """Never from its options: the file has no such key."""
        del recipe
        return None

    def instances(self, recipe: Recipe, role: Role) -> int:
        """One per worker."""
        del recipe
        return role.workers

    def command(self, ctx: WorkerContext) -> Command:
        """The launch of a whole worker; see the module's docstring."""
        direct = ctx.job.interface == "trtllm_http"
        config = f"trtllm_config_{ctx.role.mode}.yaml"
        path = word(ctx.job.logs, f"/{config}")
        shm = word("moe_shared_", JOB_ID, f"_{ctx.endpoint.name}")
        return Command(
            argv=(
                *_numactl(ctx),
                *words("trtllm-llmapi-launch"),
                *(_serve(ctx, path) if direct else _dynamo(ctx, path)),
                *words(*ctx.role.extra_args),
            ),
            env=(EnvVar(name="TRTLLM_EPLB_SHM_NAME", value=shm), *_stores.kvbm(ctx)),
            srun=SRUN,
            files=_files(ctx, config),
            listens=((_port(ctx),) if direct else (ctx.process.port("system"),)) + _stores.kvbm_ports(ctx),
            note=f"TensorRT-LLM {ctx.endpoint.mode} worker {ctx.endpoint.index}",
            stand_in=StandIn(
                behavior="openai_server" if direct else "dynamo_worker",
                wrappers=(*(("numactl",) if _numactl(ctx) else ()), "trtllm-llmapi-launch"),
            ),
        )

    def profile(self, ctx: WorkerContext, request: ProfileRequest) -> Profile:
        """It counts its iterations itself and obeys a window in a variable; no call is needed."""
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
    """The engine's file: one per mode, so only the first worker brings it."""
    if ctx.endpoint.index:
        return ()
    return (PlanFile(path=path, content=_args(ctx), run_time=True),)


def _options(recipe: Recipe) -> Options:
    options = recipe.engine.options
    assert isinstance(options, Options)  # noqa: S101 -- structured into this class by config
    return options


def _behind_dynamo(recipe: Recipe) -> bool:
    return frontend(recipe.frontend.type).interface == "dynamo"


def _numactl(ctx: WorkerContext) -> Words:
    recipe = ctx.job.recipe
    bind = _options(recipe).numa_memory_bind
    if bind is None:
        bind = recipe.resources.gpu_type.lower() in NUMA_GPUS and ctx.role.mode != "agg"
    return words("numactl", "-m", "0,1") if bind else ()


def _dynamo(ctx: WorkerContext, config: Word) -> Words:
    job = ctx.job
    mode = () if ctx.role.mode == "agg" else ("--disaggregation-mode", ctx.role.mode)
    events = ("--publish-events-and-metrics",) if _publishes(job.recipe) else ()
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
    listen = ("--host", "0.0.0.0", "--port", _port(ctx))  # noqa: S104 -- the orchestrator is on another node
    return words("trtllm-serve", ctx.model, *listen, *sizes, "--config", config)


def _port(ctx: WorkerContext) -> int:
    """An aggregated worker has the public port itself."""
    return ctx.job.public_port if ctx.role.mode == "agg" else ctx.process.port("http")


def _size(role: Role, *names: str) -> int | None:
    return flags.count(role.args, role.extra_args, *names)


def _publishes(recipe: Recipe) -> bool:
    said = _options(recipe).publish_events_and_metrics
    return recipe.observability.enabled if said is None else said


def _args(ctx: WorkerContext) -> Map:
    """The role's options, with those that observability adds."""
    own = ctx.role.args
    added = STATISTICS if ctx.job.recipe.observability.enabled else ()
    return Map((*own.pairs, *((key, True) for key in added if key not in own)))


PLUGIN = TensorRTLLM()
