"""vLLM: one process per node of a worker; with data parallelism the ranks of a node are inside that process.

Out, for the second node of a prefill worker with 8 data-parallel ranks on nodes of 4 GPUs::

    python3 -m dynamo.vllm --model /model --served-model-name q --disaggregation-mode prefill --device-ids 0,1,2,3
      --data-parallel-size-local 4 --data-parallel-start-rank 4 --data-parallel-address ${IP[0]}
      --data-parallel-rpc-port 13345 --data-parallel-hybrid-lb ...

Behind the ``vllm`` frontend it is ``vllm serve`` with the public port. A flag of the recipe replaces the automatic one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Literal

from attrs import field, frozen

from srtplan import flags
from srtplan.diagnostics import Finding
from srtplan.ir.data import Data, Map, thaw
from srtplan.ir.plan import EnvVar
from srtplan.ir.recipe import Recipe, Role
from srtplan.ir.shell import LOG_DIR, Lit, Word, Words, ip, word, words
from srtplan.plugin import Command, Interface, Profile, ProfileRequest, Shape, WorkerContext

DP, TP, PP = "data-parallel-size", "tensor-parallel-size", "pipeline-parallel-size"
CONNECTORS: dict[str, dict[str, object]] = {
    "nixl": {"kv_connector": "NixlConnector", "kv_role": "kv_both"},
    "lmcache": {"kv_connector": "LMCacheConnectorV1", "kv_role": "kv_both"},
    "kvbm": {
        "kv_connector": "DynamoConnector",
        "kv_connector_module_path": "kvbm.vllm_integration.connector",
        "kv_role": "kv_both",
    },
}
DECIDED = {
    "device-ids": "it follows from the placement",
    "master-addr": "it is the address of the worker's first node",
    "nnodes": "it follows from the GPUs of the worker",
    "node-rank": "it follows from the placement",
    "data-parallel-rank": "it follows from the placement",
    "data-parallel-address": "it is the address of the worker's first node",
    "data-parallel-start-rank": "it follows from the placement",
    "data-parallel-size-local": "it follows from the placement",
}
OWN = ("model", "served-model-name", "connector", "data-parallel-rpc-port")


@frozen(kw_only=True)
class Options:
    """Options of the engine as a whole.

    ``connector``: nixl, lmcache, kvbm, none, or a JSON text for ``--kv-transfer-config``. ``dp_launch_mode``: the
    ranks of a node in one process, or a process per GPU. ``set_cuda_visible_devices`` exports the variable instead
    of ``--device-ids``.
    """

    connector: str | None = "nixl"
    set_cuda_visible_devices: bool = False
    allow_prefill_decode_colocation: bool = False
    allow_prefill_decode_colocation_across_nodes: bool = False
    dp_launch_mode: Literal["per_node", "per_gpu"] = "per_node"


@frozen
class VLLM:
    """The engine plugin."""

    name: str = "vllm"
    options: type[object] = Options
    interfaces: frozenset[Interface] = field(default=frozenset(("dynamo", "vllm_http")))
    client: str = "vllm"
    launch: Literal["process", "endpoint"] = "process"
    ports: tuple[str, ...] = ("vllm",)
    profilers: frozenset[str] = frozenset(("torch", "nsys", "nsys-time"))

    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Flags that are decided elsewhere, stand twice, or name an unknown connector."""
        for role in recipe.resources.roles:
            yield from flags.twice(role.args, role.args_at)
            yield from flags.decided(role.args, role.args_at, DECIDED)
            yield from _spread(recipe, role)
        connector = _options(recipe).connector
        if (
            connector
            and connector not in (*CONNECTORS, "none", "null")
            and not connector.lstrip().startswith("{")
        ):
            yield Finding(
                rule="SP507",
                path=(*recipe.engine.at, "connector"),
                message=f"unknown connector '{connector}'",
                help=f"use {', '.join(CONNECTORS)}, none, or JSON for --kv-transfer-config",
            )

    def shape(self, recipe: Recipe, role: Role) -> Shape:
        """Data-parallel workers reserve a KV event port per rank, a NIXL block per worker, and a port to meet at."""
        dp = _size(role, DP)
        if dp is None:
            return Shape()
        if _options(recipe).dp_launch_mode == "per_gpu":
            return Shape(per_gpu=True, rpc=True)
        if _spans(recipe, role):
            return Shape(rpc=True, nixl_block=dp)
        local = _local_ranks(recipe, role)
        return Shape(ranks=local, kv_block=local, nixl_block=dp, rpc=True)

    def gpus_asked(self, recipe: Recipe, role: Role) -> tuple[int, str] | None:
        """DP x TP x PP."""
        del recipe
        sizes = {k: _size(role, name) for k, name in (("DP", DP), ("TP", TP), ("PP", PP))}
        given = {k: v for k, v in sizes.items() if v is not None}
        if not given:
            return None
        total = 1
        for v in given.values():
            total *= v
        return total, " x ".join(f"{k} {v}" for k, v in given.items() if v != 1 or len(given) == 1)

    def port_base(self, role: Role, kind: str) -> int | None:
        """Its ports are the plan's."""
        del role, kind
        return None

    def served_name(self, recipe: Recipe) -> str | None:
        """The first of prefill, aggregated and decode that names it."""
        for mode in ("prefill", "agg", "decode"):
            role = recipe.resources.role(mode)
            name = flags.lookup(role.args, "served-model-name") if role else None
            if name is not None:
                return str(name)
        return None

    def instances(self, recipe: Recipe, role: Role) -> int:
        """Every process of a data-parallel worker registers, and every rank where each has a process."""
        dp = _size(role, DP)
        if dp is None or _spans(recipe, role):
            return role.workers
        if _options(recipe).dp_launch_mode == "per_gpu":
            return role.workers * dp
        return role.workers * max(1, role.gpus // recipe.resources.gpus_per_node)

    def command(self, ctx: WorkerContext) -> Command:
        """The server's argv and variables; see the module's docstring."""
        job, role = ctx.job, ctx.role
        direct = job.interface == "vllm_http"
        auto = [*_place(ctx), *([] if direct else _dynamo(ctx))]
        if role.kv_events is not None:
            auto.append(("kv-events-config", Lit(_kv_events(ctx))))
        mine = {flags.dashed(k) for k, _ in role.args.pairs} - {*OWN, *DECIDED}
        argv: list[Word] = [*_program(ctx, direct=direct)]
        for flag, value in auto:
            if flag not in mine:
                argv += [Lit(f"--{flag}"), *([value] if value is not None else [])]
        return Command(
            argv=(*argv, *flags.render(role.args, skip={*OWN, *DECIDED}), *words(*role.extra_args)),
            env=_environment(ctx),
            selects_gpus=not direct and not _options(job.recipe).set_cuda_visible_devices,
            listens=(job.public_port,) if direct and ctx.process.leader else (ctx.process.port("system"),),
            note=f"vLLM {ctx.endpoint.mode} worker {ctx.endpoint.index}",
        )

    def profile(self, ctx: WorkerContext, request: ProfileRequest) -> Profile:
        """The window is an option of the server, the call only starts it; headless ranks follow their leader."""
        if request.type == "nsys-time":
            return Profile()
        window = f'"delay_iterations": {request.start_step}, "max_iterations": {request.stop_step - request.start_step}'
        torch = word('{"profiler": "torch", "torch_profiler_dir": "', request.directory, f'", {window}}}')
        config = torch if request.type == "torch" else word(f'{{"profiler": "cuda", {window}}}')
        follows = not ctx.process.leader and _spans(ctx.job.recipe, ctx.role)
        return Profile(args=words("--profiler-config", config), start=None if follows else "{}")


Flags = list[tuple[str, Word | None]]


def _options(recipe: Recipe) -> Options:
    options = recipe.engine.options
    assert isinstance(options, Options)  # noqa: S101 -- structured into this class by config
    return options


def _size(role: Role, flag: str) -> int | None:
    value = flags.lookup(role.args, flag)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _spans(recipe: Recipe, role: Role) -> bool:
    """One model replica (TP x PP) is larger than a node."""
    return (_size(role, TP) or 1) * (_size(role, PP) or 1) > recipe.resources.gpus_per_node


def _local_ranks(recipe: Recipe, role: Role) -> int:
    on_node = min(role.gpus, recipe.resources.gpus_per_node)
    return max(1, on_node // ((_size(role, TP) or 1) * (_size(role, PP) or 1)))


def _spread(recipe: Recipe, role: Role) -> Iterable[Finding]:
    """Data-parallel ranks must fill the nodes of a worker evenly."""
    dp = _size(role, DP)
    if dp is None or _spans(recipe, role):
        return
    nodes = max(1, role.gpus // recipe.resources.gpus_per_node)
    if _local_ranks(recipe, role) * nodes != dp:
        yield Finding(
            rule="SP508",
            path=role.args_at,
            on_key=True,
            message=f"{dp} data-parallel ranks do not fill {nodes} node(s) of {_local_ranks(recipe, role)} ranks each",
            help="change data-parallel-size or the GPUs per worker",
        )


def _program(ctx: WorkerContext, *, direct: bool) -> Words:
    name = ctx.job.served_model_name
    if direct:
        return words("vllm", "serve", ctx.job.model, "--served-model-name", name)
    return words("python3", "-m", "dynamo.vllm", "--model", ctx.job.model, "--served-model-name", name)


def _place(ctx: WorkerContext) -> Flags:
    job, process, leader = ctx.job, ctx.process, ctx.peers[0]
    direct = job.interface == "vllm_http"
    dp = _size(ctx.role, DP)
    out: Flags = []
    if direct and process.leader:
        out += [("host", Lit("0.0.0.0")), ("port", word(job.public_port))]  # noqa: S104 -- clients are elsewhere
    if ctx.endpoint.mode != "agg":
        out.append(("disaggregation-mode", Lit(ctx.endpoint.mode)))
    if (transfer := _transfer(ctx)) and not direct:
        out.append(("kv-transfer-config", Lit(transfer)))
    if not _options(job.recipe).set_cuda_visible_devices and not direct:
        out.append(("device-ids", Lit(",".join(map(str, process.gpus)))))
    if dp is not None and not _spans(job.recipe, ctx.role):
        out += _data_parallel(ctx)
    elif len(ctx.peers) > 1:
        nth = [p.rank for p in ctx.peers].index(process.rank)
        out += [("master-addr", ip(leader.node)), ("nnodes", word(len(ctx.peers))), ("node-rank", word(nth))]
        out += [("data-parallel-address", ip(leader.node))] if dp is not None else []
        out += [("headless", None)] if nth else []
    return out


def _data_parallel(ctx: WorkerContext) -> Flags:
    leader, process = ctx.peers[0], ctx.process
    address: Flags = [
        ("data-parallel-address", ip(leader.node)),
        ("data-parallel-rpc-port", word(leader.port("dp_rpc"))),
    ]
    if _options(ctx.job.recipe).dp_launch_mode == "per_gpu":
        return [("data-parallel-rank", word(process.rank)), *address]
    local = _local_ranks(ctx.job.recipe, ctx.role)
    return [
        ("data-parallel-size-local", word(local)),
        ("data-parallel-start-rank", word(process.rank)),
        *address,
        ("data-parallel-hybrid-lb", None),
    ]


def _dynamo(ctx: WorkerContext) -> Flags:
    name = ctx.endpoint.name + (f"_r{ctx.process.rank}" if len(ctx.peers) > 1 else "")
    return [
        ("request-plane", Lit(ctx.job.recipe.dynamo.request_plane)),
        ("dump-config-to", word(LOG_DIR, f"/{name}_config.json")),
    ]


def _transfer(ctx: WorkerContext) -> str | None:
    """The connector of the mode, else of the engine, as JSON; None for no connector."""
    own: Data = flags.lookup(ctx.role.args, "connector")
    if own is None and "connector" not in {k for k, _ in ctx.role.args.pairs}:
        own = _options(ctx.job.recipe).connector
    if own in (None, "", "none", "null"):
        return None
    return json.dumps(CONNECTORS[str(own)]) if str(own) in CONNECTORS else str(own)


def _kv_events(ctx: WorkerContext) -> str:
    config = ctx.role.kv_events or Map()
    merged = {"publisher": "zmq", "topic": "kv-events", "enable_kv_cache_events": True}
    given = {k: thaw(v) for k, v in config.pairs}
    return json.dumps(merged | given | {"endpoint": f"tcp://*:{ctx.process.port('kv_events')}"})


def _environment(ctx: WorkerContext) -> tuple[EnvVar, ...]:
    process = ctx.process
    env = [
        EnvVar(name="DYN_VLLM_KV_EVENT_PORT", value=word(process.port("kv_events"))),
        EnvVar(name="VLLM_NIXL_SIDE_CHANNEL_PORT", value=word(process.port("nixl"))),
        EnvVar(name="VLLM_NIXL_SIDE_CHANNEL_HOST", value=ip(process.node)),
        EnvVar(name="VLLM_PORT", value=word(process.port("vllm"))),
    ]
    return tuple(env)


PLUGIN = VLLM()
