"""Ports and environment variables of workers that register with Dynamo.

In: a recipe and a role, or a worker's process. Out: ports in allocation order, and variables::

    HEAD_NODE_IP=${IP[0]} DYN_SYSTEM_PORT=8081 DYN_SKIP_SGLANG_LOG_FORMATTING=1 DYN_LOG=info,...
"""

from __future__ import annotations

from srtplan.ir.plan import EnvVar
from srtplan.ir.recipe import Recipe, Role
from srtplan.ir.shell import Lit, ip, word
from srtplan.ir.topology import Process
from srtplan.plugin.contexts import JobContext
from srtplan.plugin.ports import Port

QUIET_LOG = "info,dynamo_runtime::pipeline::network::ingress::push_handler=warn"
LOGS = (
    EnvVar(name="DYN_SKIP_SGLANG_LOG_FORMATTING", value=Lit("1")),
    EnvVar(name="DYN_LOG", value=Lit(QUIET_LOG)),
)


def dynamo_environment(job: JobContext, process: Process) -> tuple[EnvVar, ...]:
    """Return the variables of a Dynamo worker, except those that locate the frontend."""
    return (
        EnvVar(name="HEAD_NODE_IP", value=ip(job.topology.nodes.head)),
        EnvVar(name="DYN_SYSTEM_PORT", value=word(process.port("system"))),
        *LOGS,
    )


def dynamo_ports(
    recipe: Recipe,
    role: Role,
    *,
    bootstrap: int | None = None,
    kv_events: int = 1,
    nixl_block: int = 0,
    kvbm: bool = False,
    http_offsets: tuple[int, ...] = (),
    dist_init_offsets: tuple[int, ...] = (),
    more: tuple[Port, ...] = (),
) -> tuple[Port, ...]:
    """Return the ports of a Dynamo worker, including the engine's own ports in ``more``.

    ``bootstrap`` is the port number that the recipe sets. Each process gets ``kv_events`` ports for KV events. The processes
    of a worker share ``nixl_block`` NIXL ports; 0 means one port per process. ``kvbm`` adds two ports per process for the
    block manager. ``http_offsets`` and ``dist_init_offsets`` are for ports that the engine opens on its own: above the
    HTTP port of a single-node worker, or above ``dist_init`` of a multi-node worker.
    """
    on_one_node = recipe.resources.nodes_per_worker(role) == 1
    ports = [
        Port(kind="http", stride=recipe.site.ports.http_stride, offsets=http_offsets if on_one_node else ()),
        Port(kind="kv_events", count="job", block=kv_events),
    ]
    out = [Port(kind="bootstrap", scope="worker", fixed=bootstrap)] if role.mode == "prefill" else []
    if not on_one_node:
        out.append(Port(kind="dist_init", scope="worker", offsets=dist_init_offsets))
    out += [port for port in more if port.scope == "worker"]
    if nixl_block:
        out.append(Port(kind="nixl", scope="worker", count="job", block=nixl_block))
    out += [Port(kind="system", count="job"), *ports]
    if not nixl_block:
        out.append(Port(kind="nixl", count="job"))
    if kvbm:
        out.append(Port(kind="kvbm", count="job", stride=2, block=2))
    return (*out, *(port for port in more if port.scope == "process"))
