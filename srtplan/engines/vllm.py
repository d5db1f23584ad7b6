"""vLLM: one process per node of a worker, which runs all data-parallel ranks of the node.

Out, for the second node of a prefill worker with 8 data-parallel ranks on nodes of 4 GPUs::

    python3 -m dynamo.vllm --model /model --served-model-name q --disaggregation-mode prefill --device-ids 0,1,2,3
      --data-parallel-size-local 4 --data-parallel-start-rank 4 --data-parallel-address ${IP[0]}
      --data-parallel-rpc-port 13345 --data-parallel-hybrid-lb ...

With the ``vllm`` frontend, the process is ``vllm serve`` on the public port. A recipe's flag overrides the automatic one.
"""

from __future__ import annotations

from collections.abc import Iterable

from srtplan import flags
from srtplan.engines import _served, _stores
from srtplan.engines._recipe_flags import recipe_flags
from srtplan.engines._vllm_flags import (
    CONNECTORS,
    DP,
    PP,
    SPELLED,
    TP,
    Options,
    connector,
    dynamo,
    kv_events,
    local_ranks,
    options,
    place,
    program,
    size,
    spans,
)
from srtplan.plugin import (
    Command,
    Engine,
    EnvVar,
    Finding,
    Lit,
    Port,
    Profile,
    ProfileRequest,
    Recipe,
    Role,
    Shape,
    StandIn,
    Word,
    WorkerContext,
    dynamo_ports,
    interface,
    ip,
    no_effect,
    override,
    word,
    words,
)

DECIDED = {
    "device-ids": "it follows from the placement",
    "master-addr": "it is the address of the worker's first node",
    "nnodes": "it follows from the GPUs of the worker",
    "node-rank": "it follows from the placement",
    "data-parallel-rank": "it follows from the placement",
    "data-parallel-address": "it is the address of the worker's first node",
    "data-parallel-start-rank": "it follows from the placement",
    "data-parallel-size-local": "it follows from the placement",
    "headless": "it follows from the placement",
    "port": "see `ports:` in the cluster profile",
    "request-plane": "see dynamo.request_plane",
}
RPC = "data-parallel-rpc-port"
OWN = ("model", "served-model-name", "connector", RPC)
SET_BY_ENGINE = frozenset((*OWN, *DECIDED))


class VLLM(
    Engine[Options],
    name="vllm",
    interfaces=("dynamo", "vllm_http"),
    client="vllm",
    profilers=("torch", "nsys", "nsys-time"),
):
    """The vLLM engine."""

    @override
    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Report duplicate flags, flags that srtplan sets or that contradict the role, and unknown connectors."""
        for role in recipe.resources.roles:
            yield from _flags(role, recipe.site.ports.ephemeral_floor)
            yield from _spread(recipe, role)
        yield from _launch_mode(recipe)
        yield from _connector(recipe)
        yield from _unread(recipe)
        yield from _served.check(recipe)
        yield from _stores.check(recipe, options(recipe).mooncake_kv_store)

    @override
    def shape(self, recipe: Recipe, role: Role) -> Shape:
        """Return one process per node, which runs the node's ranks, or one per GPU with ``dp_launch_mode: per_gpu``."""
        if size(role, DP) is None:
            return Shape()
        if options(recipe).dp_launch_mode == "per_gpu":
            return Shape(per_gpu=True)
        return Shape() if spans(recipe, role) else Shape(ranks=local_ranks(recipe, role))

    @override
    def ports(self, recipe: Recipe, role: Role) -> tuple[Port, ...]:
        """Return Dynamo's ports; data-parallel workers add a KV event port per rank, a NIXL block, and an RPC port."""
        dp, table = size(role, DP), recipe.site.ports
        shape = self.shape(recipe, role)
        meeting = Port(kind="dp_rpc", scope="worker", fixed=size(role, RPC))
        own = Port(kind="vllm", count="job", stride=table.vllm_stride, block=table.vllm_stride)
        return dynamo_ports(
            recipe,
            role,
            kv_events=shape.ranks,
            nixl_block=0 if dp is None or shape.per_gpu else dp,
            kvbm=_stores.uses_kvbm(recipe, role) or connector(recipe, role) == "kvbm",
            more=(own,) if dp is None else (meeting, own),
        )

    @override
    def shares_nodes(self, recipe: Recipe) -> bool:
        """Return whether the recipe allows colocation, on one node or on any."""
        own, resources = options(recipe), recipe.resources
        fits = sum(r.workers * r.gpus for r in resources.roles) <= resources.gpus_per_node
        return own.allow_prefill_decode_colocation_across_nodes or (
            own.allow_prefill_decode_colocation and fits
        )

    @override
    def services(self, recipe: Recipe) -> tuple[str, ...]:
        """Return the master of a Mooncake store, if the recipe has one."""
        return (_stores.SERVICE,) if options(recipe).mooncake_kv_store else ()

    @override
    def gpus_used(self, recipe: Recipe, role: Role) -> tuple[int, str] | None:
        """Return DP x TP x PP."""
        del recipe
        sizes = {k: size(role, name) for k, name in (("DP", DP), ("TP", TP), ("PP", PP))}
        set_sizes = {k: v for k, v in sizes.items() if v is not None}
        if not set_sizes:
            return None
        total = 1
        for v in set_sizes.values():
            total *= v
        return total, " x ".join(f"{k} {v}" for k, v in set_sizes.items() if v != 1 or len(set_sizes) == 1)

    @override
    def served_name(self, recipe: Recipe) -> str | None:
        """Return the first name set by prefill, aggregated or decode workers."""
        return _served.name(recipe)

    @override
    def instances(self, recipe: Recipe, role: Role) -> int:
        """Return one instance per process of a data-parallel worker, or one per rank with a process per GPU."""
        dp = size(role, DP)
        if dp is None or spans(recipe, role):
            return role.workers
        if options(recipe).dp_launch_mode == "per_gpu":
            return role.workers * dp
        return role.workers * recipe.resources.nodes_per_worker(role)

    @override
    def command(self, ctx: WorkerContext) -> Command:
        """Return the server's argv and variables; see the module's docstring."""
        job, role = ctx.job, ctx.role
        direct = job.interface != "dynamo"
        auto = [*place(ctx), *([] if direct else dynamo(ctx))]
        if role.kv_events is not None:
            auto.append(("kv-events-config", Lit(kv_events(ctx))))
        from_recipe, rest = recipe_flags(job, role.mode, SET_BY_ENGINE)
        argv: list[Word] = [*program(ctx, direct=direct)]
        for flag, value in auto:
            if flag not in from_recipe:
                argv += words(f"--{flag}", *([value] if value is not None else []))
        return Command(
            argv=(*argv, *rest),
            env=_environment(ctx),
            selects_gpus=not direct and not options(job.recipe).set_cuda_visible_devices,
            listens=(*_listens(ctx, direct=direct), *_stores.kvbm_ports(ctx)),
            note=f"vLLM {ctx.endpoint.mode} worker {ctx.endpoint.index}",
            stand_in=StandIn(behavior="openai_server" if direct else "dynamo_worker"),
        )

    @override
    def profile(self, ctx: WorkerContext, request: ProfileRequest) -> Profile:
        """Return the window as a server option, and the call that starts it; headless ranks follow their leader."""
        if request.type == "nsys-time":
            return Profile()
        window = f'"delay_iterations": {request.start_step}, "max_iterations": {request.stop_step - request.start_step}'
        torch = word('{"profiler": "torch", "torch_profiler_dir": "', request.directory, f'", {window}}}')
        config = torch if request.type == "torch" else word(f'{{"profiler": "cuda", {window}}}')
        follows = not ctx.process.leader and spans(ctx.job.recipe, ctx.role)
        return Profile(args=words("--profiler-config", config), start=None if follows else "{}")


def _flags(role: Role, floor: int) -> Iterable[Finding]:
    yield from flags.check_duplicates(role.args, role.args_at, *SPELLED.values())
    yield from flags.check_planned(role.args, role.args_at, DECIDED)
    yield from flags.check_extra_args(role.extra_args, role.args, DECIDED, role.extra_args_at, options=OWN)
    yield from flags.check_port(role.args, role.args_at, RPC, floor)
    sized = (name for names in SPELLED.values() for name in names)
    yield from flags.check_sizes(role.args, role.extra_args, role.args_at, role.extra_args_at, *sized)
    fits = {"prefill": ("prefill",), "decode": ("decode",), "agg": ("agg", "aggregated")}[role.mode]
    yield from flags.check_role(role.args, role.args_at, "disaggregation-mode", fits, role.mode)
    for name in ("prefill", "decode"):
        allowed = (True, False) if role.mode == name else (False,)
        yield from flags.check_role(role.args, role.args_at, f"is-{name}-worker", allowed, role.mode)


def _connector(recipe: Recipe) -> Iterable[Finding]:
    own = options(recipe).connector
    if not own or own in (*CONNECTORS, "none", "null") or own.lstrip().startswith("{"):
        return
    yield Finding(
        rule="SP507",
        path=(*recipe.engine.at, "connector"),
        message=f"unknown connector '{own}'",
        help=f"use {', '.join(CONNECTORS)}, none, or JSON for --kv-transfer-config",
    )


def _unread(recipe: Recipe) -> Iterable[Finding]:
    """Report options that have no effect in this job."""
    own, at = options(recipe), recipe.engine.at
    if not any(size(role, DP) for role in recipe.resources.roles) and own.dp_launch_mode != "per_node":
        yield no_effect((*at, "dp_launch_mode"), "no worker has data-parallel ranks")
    for name in ("allow_prefill_decode_colocation", "allow_prefill_decode_colocation_across_nodes"):
        if getattr(own, name) and not recipe.resources.disaggregated:
            yield no_effect((*at, name), "there are no prefill and decode workers")
    if interface(recipe) != "vllm_http":
        return
    why = "a single worker does not transfer its KV cache"
    if own.connector not in ("nixl", None, "", "none", "null"):
        yield no_effect((*at, "connector"), why, help="set `kv-transfer-config` in the worker's options")
    for role in recipe.resources.roles:
        for key, value in role.args.pairs:
            if flags.dashed(key) == "connector" and value not in (None, "none", "null"):
                yield no_effect((*role.args_at, key), why)


def _spread(recipe: Recipe, role: Role) -> Iterable[Finding]:
    """Report data-parallel ranks that do not fill the nodes of a worker evenly."""
    dp = size(role, DP)
    replica = (size(role, TP) or 1) * (size(role, PP) or 1)
    if dp is not None and options(recipe).dp_launch_mode == "per_gpu":
        yield from _one_gpu_each(role, replica)
    if dp is None or replica > recipe.resources.gpus_per_node:
        return
    ranks = local_ranks(recipe, role) * recipe.resources.nodes_per_worker(role)
    if ranks != dp:
        yield Finding(
            rule="SP508",
            path=role.args_at,
            on_key=True,
            message=f"data-parallel-size must be {ranks} for the GPUs of this worker, not {dp}",
            help="change `data-parallel-size` or the GPUs per worker",
        )


def _one_gpu_each(role: Role, replica: int) -> Iterable[Finding]:
    if replica > 1:
        yield Finding(
            rule="SP508",
            path=role.args_at,
            on_key=True,
            message=f"dp_launch_mode: per_gpu requires one GPU per rank, but each rank uses {replica} GPUs",
            help="set `dp_launch_mode: per_node`",
        )


def _launch_mode(recipe: Recipe) -> Iterable[Finding]:
    """Report a process per rank without Dynamo: ``vllm serve`` has one port and starts its ranks itself."""
    ranked = any(size(role, DP) is not None for role in recipe.resources.roles)
    if options(recipe).dp_launch_mode == "per_gpu" and ranked and interface(recipe) == "vllm_http":
        yield Finding(
            rule="SP508",
            path=(*recipe.engine.at, "dp_launch_mode"),
            message="dp_launch_mode: per_gpu is not supported by vllm serve, which starts its own data-parallel ranks",
            help="set `dp_launch_mode: per_node`",
        )


def _listens(ctx: WorkerContext, *, direct: bool) -> tuple[int, ...]:
    if direct:
        return (ctx.http_port,) if ctx.process.leader else ()
    return (ctx.process.port("system"),)


def _environment(ctx: WorkerContext) -> tuple[EnvVar, ...]:
    """Return the variables with ports; processes of a multi-node worker agree on theirs, so VLLM_PORT is not set."""
    process, store = ctx.process, options(ctx.job.recipe).mooncake_kv_store
    env = [
        EnvVar(name="DYN_VLLM_KV_EVENT_PORT", value=word(process.port("kv_events"))),
        EnvVar(name="VLLM_NIXL_SIDE_CHANNEL_PORT", value=word(process.port("nixl"))),
        EnvVar(name="VLLM_NIXL_SIDE_CHANNEL_HOST", value=ip(process.node)),
    ]
    if len(ctx.endpoint.nodes) == 1:
        env.append(EnvVar(name="VLLM_PORT", value=word(process.port("vllm"))))
    if store is not None:
        env.append(
            EnvVar(name="MOONCAKE_CONFIG_PATH", value=word(ctx.job.logs, "/mooncake_store_config.json"))
        )
    return (*env, *_stores.mooncake(ctx, store), *_stores.kvbm(ctx))


PLUGIN = VLLM()
