"""SGLang: one process per node of a worker, started as ``dynamo.sglang`` or behind a router as ``sglang.launch_server``.

In: a worker's place and ports, and the recipe's flags for its mode. Out, for a decode worker over two nodes, rank 0::

    python3 -m dynamo.sglang --model-path /model --served-model-name ds-r1 --host 0.0.0.0 --port 30000 --nccl-port 17500
      --disaggregation-mode decode --dist-init-addr ${IP[1]}:29500 --nnodes 2 --node-rank 0 ...

A flag of the recipe replaces the automatic one of the same name; none appears twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from attrs import frozen

from srtplan import flags
from srtplan.engines import _served, _stores
from srtplan.engines._recipe_flags import recipe_flags
from srtplan.plugin import (
    LOG_DIR,
    Command,
    Engine,
    EnvVar,
    Finding,
    Lit,
    Map,
    MooncakeStore,
    Port,
    Profile,
    ProfileRequest,
    Recipe,
    Role,
    StandIn,
    Word,
    WorkerContext,
    dynamo_ports,
    ip,
    override,
    thaw,
    word,
    words,
)

DECIDED = {
    "port": "every worker gets its own port; see `ports:` in the cluster profile",
    "nccl-port": "every process gets its own port; see `ports:` in the cluster profile",
    "dist-init-addr": "it is the address of the worker's first node",
    "nnodes": "it follows from the GPUs of the worker",
    "node-rank": "it follows from the placement",
}
MODE_FLAG = "disaggregation-mode"
BOOTSTRAP = "disaggregation-bootstrap-port"
TP = ("tensor-parallel-size", "tp-size", "tp")
PP = ("pipeline-parallel-size", "pp-size", "pp")
DP = ("data-parallel-size", "dp-size", "dp")
ATTENTION = "enable-dp-attention"
ATTENTION_DP = ("attention-data-parallel-size", "attn-dp-size")
HTTP_OFFSETS = (5, 13, *range(233, 240))
DIST_INIT_OFFSETS = (*range(1, 7), 13)
"""Ports of data-parallel attention: offsets from a worker's HTTP port, or from dist-init-addr if it has one.

PortArgs of sglang/srt/server_args.py and the handshake of data_parallel_controller.py: 5 and 233 to 238 (1 to 5) in 0.5.5,
13 and 233 to 239 (1 to 6 and 13) in 0.5.23.
"""
READ_FROM_OPTIONS = ("model-path", "served-model-name", BOOTSTRAP)
"""Flags whose values other parts of the job need."""
OWN = frozenset(("model-path", "served-model-name", *DECIDED))
PREFILL_OWN = OWN | {BOOTSTRAP}
"""Flags that srtplan always sets itself; only prefill workers have a bootstrap port."""


@frozen(kw_only=True)
class Options:
    """Options of the engine as a whole: ``mooncake_kv_store`` starts a store for the KV cache."""

    mooncake_kv_store: MooncakeStore | None = None


class SGLang(
    Engine[Options],
    name="sglang",
    interfaces=("dynamo", "sglang_http"),
    client="sglang",
    profilers=("torch", "nsys", "nsys-time"),
):
    """The SGLang engine."""

    @override
    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Report duplicate flags, flags that srtplan sets, and flags that contradict the role."""
        for role in recipe.resources.roles:
            yield from flags.check_duplicates(role.args, role.args_at, TP, PP, DP, ATTENTION_DP)
            yield from flags.check_planned(role.args, role.args_at, DECIDED)
            yield from flags.check_extra_args(
                role.extra_args, role.args, DECIDED, role.extra_args_at, options=READ_FROM_OPTIONS
            )
            yield from flags.check_port(role.args, role.args_at, BOOTSTRAP, recipe.site.ports.ephemeral_floor)
            yield from _parallel(role)
            fits = {"prefill": "prefill", "decode": "decode", "agg": "null"}[role.mode]
            yield from flags.check_role(role.args, role.args_at, MODE_FLAG, (fits,), role.mode)
            yield from _model_path(role)
        yield from _served.check(recipe)
        yield from _stores.check(recipe, self.options_of(recipe).mooncake_kv_store)

    @override
    def ports(self, recipe: Recipe, role: Role) -> tuple[Port, ...]:
        """Return Dynamo's and NCCL's ports; each data-parallel attention rank has KV events and ports of its own."""
        dp = _attention_dp(role)
        return dynamo_ports(
            recipe,
            role,
            bootstrap=flags.number(flags.lookup(role.args, BOOTSTRAP)),
            kv_events=dp if role.kv_events is not None else 1,
            kvbm=_stores.uses_kvbm(recipe, role),
            http_offsets=HTTP_OFFSETS if dp > 1 else (),
            dist_init_offsets=DIST_INIT_OFFSETS if dp > 1 else (),
            more=(Port(kind="nccl", count="job"),),
        )

    @override
    def services(self, recipe: Recipe) -> tuple[str, ...]:
        """Return the master of a Mooncake store, if the recipe has one."""
        return (_stores.SERVICE,) if self.options_of(recipe).mooncake_kv_store else ()

    @override
    def gpus_used(self, recipe: Recipe, role: Role) -> tuple[int, str] | None:
        """Return TP x PP x DP; experts and data-parallel attention ranks are part of the tensor-parallel group."""
        del recipe
        tp, pp, dp = (_size(role, *names) for names in (TP, PP, DP))
        if tp is None and pp is None and dp is None:
            return None
        inside = _attention(role)
        sizes = {"TP": tp or 1, "PP": pp or 1, "DP": 1 if inside else dp or 1}
        total = sizes["TP"] * sizes["PP"] * sizes["DP"]
        return total, " x ".join(f"{k} {v}" for k, v in sizes.items() if v != 1 or k == "TP")

    @override
    def served_name(self, recipe: Recipe) -> str | None:
        """Return the first name set by prefill, aggregated or decode workers."""
        return _served.name(recipe)

    @override
    def command(self, ctx: WorkerContext) -> Command:
        """Return the server's argv; see the module's docstring."""
        job, role, process = ctx.job, ctx.role, ctx.process
        direct = job.interface != "dynamo"
        auto: list[tuple[str, str | int | Word]] = [
            ("model-path", ctx.model),
            ("served-model-name", job.served_model_name),
            ("host", "0.0.0.0"),  # noqa: S104 -- workers are reached from other nodes
            ("port", ctx.http_port),
            ("nccl-port", process.port("nccl")),
        ]
        if ctx.endpoint.mode != "agg":
            auto.append((MODE_FLAG, ctx.endpoint.mode))
        if ctx.endpoint.mode == "prefill":
            auto.append((BOOTSTRAP, process.port("bootstrap")))
        if len(ctx.peers) > 1:
            leader = ctx.peers[0]
            auto += [
                ("dist-init-addr", word(ip(leader.node), ":", leader.port("dist_init"))),
                ("nnodes", len(ctx.peers)),
                ("node-rank", process.rank),
            ]
        if not direct:
            dump = word(LOG_DIR, f"/{_process_name(ctx)}_config.json")
            auto.append(("dump-config-to", dump))
        if role.kv_events is not None:
            auto.append(("kv-events-config", _kv_events(role.kv_events, process.port("kv_events"))))
        if not direct:
            auto.append(("request-plane", job.recipe.dynamo.request_plane))
        from_recipe, rest = recipe_flags(job, role.mode, PREFILL_OWN if role.mode == "prefill" else OWN)
        module = "sglang.launch_server" if direct else "dynamo.sglang"
        first = (part for flag, value in auto if flag not in from_recipe for part in (f"--{flag}", value))
        return Command(
            argv=(*words("python3", "-m", module, *first), *rest),
            env=(*_stores.mooncake(ctx, self.options_of(job.recipe).mooncake_kv_store), *_stores.kvbm(ctx)),
            listens=(*_listens(ctx, direct=direct), *_stores.kvbm_ports(ctx)),
            note=f"SGLang {ctx.endpoint.mode} worker {ctx.endpoint.index}",
            stand_in=StandIn(behavior="sglang_server" if direct else "dynamo_worker"),
        )

    @override
    def profile(self, ctx: WorkerContext, request: ProfileRequest) -> Profile:
        """Return the start call with its window of steps; for torch, also the variable that names the trace directory."""
        torch = request.type == "torch"
        body = {
            "start_step": request.start_step,
            "num_steps": request.stop_step - request.start_step,
            "activities": ["CPU", "GPU", "MEM"] if torch else ["CUDA_PROFILER"],
        }
        env = (EnvVar(name="SGLANG_TORCH_PROFILER_DIR", value=request.directory),)
        called = ctx.process.leader and request.type != "nsys-time"
        return Profile(env=env if torch else (), start=json.dumps(body) if called else None)


def _listens(ctx: WorkerContext, *, direct: bool) -> tuple[int, ...]:
    kinds = [*([] if direct else ["system"]), "nccl"]
    kinds += ["bootstrap"] if ctx.endpoint.mode == "prefill" and ctx.process.leader else []
    kinds += ["dist_init"] if len(ctx.peers) > 1 and ctx.process.leader else []
    dp = _attention_dp(ctx.role)
    events = ctx.process.port("kv_events") if ctx.role.kv_events is not None else None
    return (
        *((ctx.http_port,) if direct else ()),
        *(ctx.process.port(k) for k in kinds),
        *(range(events, events + dp) if events is not None else ()),
        *(_beside(ctx) if dp > 1 else ()),
    )


def _beside(ctx: WorkerContext) -> Iterable[int]:
    """Return the ports that the first process opens, or checks for being free, in addition to its planned ports."""
    if not ctx.process.leader:
        return ()
    kind, distances = ("dist_init", DIST_INIT_OFFSETS) if len(ctx.peers) > 1 else ("http", HTTP_OFFSETS)
    return (ctx.process.port(kind) + distance for distance in distances)


def _process_name(ctx: WorkerContext) -> str:
    return ctx.endpoint.name + (f"_r{ctx.process.rank}" if len(ctx.peers) > 1 else "")


def _kv_events(config: Map, port: int) -> Lit:
    merged = {"publisher": "zmq", "topic": "kv-events"} | dict(config.pairs)
    shown = {k: thaw(v) for k, v in merged.items()}
    return Lit(json.dumps(shown | {"endpoint": f"tcp://*:{port}"}))


def _size(role: Role, *names: str) -> int | None:
    return flags.count(role.args, role.extra_args, *names)


def _attention(role: Role) -> bool:
    return flags.find(role.args, role.extra_args, ATTENTION)[0]


def _attention_dp(role: Role) -> int:
    """Return the number of data-parallel attention ranks, 1 without it."""
    names = (*ATTENTION_DP, *(DP if _attention(role) else ()))
    return max(1, *(_size(role, name) or 1 for name in names))


def _parallel(role: Role) -> Iterable[Finding]:
    """Report invalid sizes, and data-parallel attention ranks that do not divide the tensor-parallel group."""
    yield from flags.check_sizes(
        role.args, role.extra_args, role.args_at, role.extra_args_at, *TP, *PP, *DP, *ATTENTION_DP
    )
    tp, dp = _size(role, *TP) or 1, _attention_dp(role)
    if tp % dp:
        yield Finding(
            rule="SP508",
            path=role.args_at,
            on_key=True,
            message=f"the tensor-parallel size ({tp}) is not divisible by the attention data-parallel size ({dp})",
            help="change `dp-size` (`attn-dp-size`) or `tp-size`",
        )


def _model_path(role: Role) -> Iterable[Finding]:
    value = flags.lookup(role.args, "model-path")
    if value is not None and str(value).rstrip("/") != "/model":
        key = next(k for k, _ in role.args.pairs if flags.dashed(k) == "model-path")
        yield Finding(
            rule="SP504",
            path=(*role.args_at, key),
            message=f"'{key}: {value}' loads a different model than model.path",
            help="set `model.path` instead; srtplan mounts it at /model",
        )


PLUGIN = SGLang()
