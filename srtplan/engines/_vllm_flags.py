"""Flags of one vLLM process: its place among its peers, its connector, its KV events.

In: a worker's place and the engine's options. Out: flags as (name, value) pairs; None is a bare flag::

    [("disaggregation-mode", "prefill"), ("device-ids", "0,1"), ("data-parallel-size-local", "2"), ...]

A worker with data-parallel ranks on several nodes has one process per node, which balances its own ranks (hybrid).
``vllm serve`` on one public port balances all ranks from its first node; processes on other nodes are headless.
"""

from __future__ import annotations

import json
from typing import Literal

from attrs import frozen

from srtplan import flags
from srtplan.plugin import (
    LOG_DIR,
    Data,
    Lit,
    Map,
    MooncakeStore,
    Recipe,
    Role,
    Word,
    Words,
    WorkerContext,
    ip,
    thaw,
    typed_options,
    word,
    words,
)

DP, TP, PP = "data-parallel-size", "tensor-parallel-size", "pipeline-parallel-size"
SPELLED = {DP: (DP, "dp"), TP: (TP, "tp"), PP: (PP, "pp")}
CONNECTORS: dict[str, dict[str, object]] = {
    "nixl": {"kv_connector": "NixlConnector", "kv_role": "kv_both"},
    "lmcache": {"kv_connector": "LMCacheConnectorV1", "kv_role": "kv_both"},
    "kvbm": {
        "kv_connector": "DynamoConnector",
        "kv_connector_module_path": "kvbm.vllm_integration.connector",
        "kv_role": "kv_both",
    },
}


@frozen(kw_only=True)
class Store(MooncakeStore):
    """A Mooncake store, with settings for its clients' configuration file."""

    store_config: Map | None = None


@frozen(kw_only=True)
class Options:
    """Options of the engine as a whole.

    ``connector``: nixl, lmcache, kvbm, none, or JSON for ``--kv-transfer-config``. ``dp_launch_mode``: one process for
    all ranks of a node, or one process per GPU. ``set_cuda_visible_devices`` exports CUDA_VISIBLE_DEVICES instead of
    passing ``--device-ids``. ``allow_prefill_decode_colocation`` lets prefill and decode workers share one node if all
    of them fit there. ``allow_prefill_decode_colocation_across_nodes`` lets them share any node: the job then has only
    the nodes that its workers fill. ``mooncake_kv_store`` starts a store for the KV cache; its ``store_config`` is
    written to the file that MOONCAKE_CONFIG_PATH names.
    """

    connector: str | None = "nixl"
    set_cuda_visible_devices: bool = False
    allow_prefill_decode_colocation: bool = False
    allow_prefill_decode_colocation_across_nodes: bool = False
    dp_launch_mode: Literal["per_node", "per_gpu"] = "per_node"
    mooncake_kv_store: Store | None = None


Flags = list[tuple[str, Word | None]]


def options(recipe: Recipe) -> Options:
    """Return the recipe's vLLM options."""
    return typed_options(recipe.engine, Options)


def size(role: Role, flag: str) -> int | None:
    """Return the integer value of a flag in a role's options or extra arguments, or None."""
    return flags.count(role.args, role.extra_args, *SPELLED.get(flag, (flag,)))


def spans(recipe: Recipe, role: Role) -> bool:
    """Return whether one model replica (TP x PP) is larger than a node."""
    return (size(role, TP) or 1) * (size(role, PP) or 1) > recipe.resources.gpus_per_node


def local_ranks(recipe: Recipe, role: Role) -> int:
    """Return how many data-parallel ranks a worker has on each of its nodes."""
    on_node = min(role.gpus, recipe.resources.gpus_per_node)
    return max(1, on_node // ((size(role, TP) or 1) * (size(role, PP) or 1)))


def program(ctx: WorkerContext, *, direct: bool) -> Words:
    """Return the program and the model that it serves."""
    name = ctx.job.served_model_name
    if direct:
        return words("vllm", "serve", ctx.model, "--served-model-name", name)
    return words("python3", "-m", "dynamo.vllm", "--model", ctx.model, "--served-model-name", name)


def place(ctx: WorkerContext) -> Flags:
    """Return the flags for mode, connector, GPUs, and the place among the worker's processes."""
    job, process, leader = ctx.job, ctx.process, ctx.peers[0]
    direct = job.interface != "dynamo"
    dp = size(ctx.role, DP)
    out: Flags = []
    if direct and process.leader:
        out += [("host", Lit("0.0.0.0")), ("port", word(ctx.http_port))]  # noqa: S104 -- clients are elsewhere
    if ctx.endpoint.mode != "agg":
        out.append(("disaggregation-mode", Lit(ctx.endpoint.mode)))
    if (config := transfer(ctx)) and not direct:
        out.append(("kv-transfer-config", Lit(config)))
    if not options(job.recipe).set_cuda_visible_devices and not direct:
        out.append(("device-ids", Lit(",".join(map(str, process.gpus)))))
    if dp is not None and not spans(job.recipe, ctx.role):
        out += _direct_ranks(ctx) if direct else _data_parallel(ctx)
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
    if options(ctx.job.recipe).dp_launch_mode == "per_gpu":
        return [("data-parallel-rank", word(process.rank)), *address]
    local = local_ranks(ctx.job.recipe, ctx.role)
    return [
        ("data-parallel-size-local", word(local)),
        ("data-parallel-start-rank", word(process.rank)),
        *address,
        ("data-parallel-hybrid-lb", None),
    ]


def _direct_ranks(ctx: WorkerContext) -> Flags:
    """Return the flags of one server for all ranks: other nodes are headless, and a single node needs no flags."""
    leader, process = ctx.peers[0], ctx.process
    if len(ctx.peers) == 1:
        return []
    address: Flags = [
        ("data-parallel-size-local", word(local_ranks(ctx.job.recipe, ctx.role))),
        ("data-parallel-address", ip(leader.node)),
        ("data-parallel-rpc-port", word(leader.port("dp_rpc"))),
    ]
    if process.leader:
        return address
    return [*address, ("data-parallel-start-rank", word(process.rank)), ("headless", None)]


def dynamo(ctx: WorkerContext) -> Flags:
    """Return the flags that only Dynamo workers take."""
    name = ctx.endpoint.name + (f"_r{ctx.process.rank}" if len(ctx.peers) > 1 else "")
    return [
        ("request-plane", Lit(ctx.job.recipe.dynamo.request_plane)),
        ("dump-config-to", word(LOG_DIR, f"/{name}_config.json")),
    ]


def connector(recipe: Recipe, role: Role) -> str | None:
    """Return the connector of the role, else of the engine, or None."""
    own: Data = flags.lookup(role.args, "connector")
    if own is None and "connector" not in {k for k, _ in role.args.pairs}:
        own = options(recipe).connector
    return None if own in (None, "", "none", "null") else str(own)


def transfer(ctx: WorkerContext) -> str | None:
    """Return ``--kv-transfer-config``: a known connector as JSON, any other text unchanged."""
    own = connector(ctx.job.recipe, ctx.role)
    return None if own is None else json.dumps(CONNECTORS[own]) if own in CONNECTORS else own


def kv_events(ctx: WorkerContext) -> str:
    """Return the value of ``--kv-events-config``."""
    config = ctx.role.kv_events or Map()
    merged = {"publisher": "zmq", "topic": "kv-events", "enable_kv_cache_events": True}
    from_recipe = {k: thaw(v) for k, v in config.pairs}
    return json.dumps(merged | from_recipe | {"endpoint": f"tcp://*:{ctx.process.port('kv_events')}"})
