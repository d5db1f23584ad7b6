"""KV cache storage outside the GPUs: a Mooncake store of the job, and Dynamo's block manager (KVBM).

Out, for a worker on node 1 of a job whose services are on node 0::

    MOONCAKE_LOCAL_HOSTNAME=${IP[1]} MOONCAKE_MASTER=${IP[0]}:8700 MOONCAKE_TE_META_DATA_SERVER=http://${IP[0]}:8701/metadata
    DYN_KVBM_LEADER_ZMQ_HOST=${IP[1]} DYN_KVBM_LEADER_ZMQ_PUB_PORT=7550 DYN_KVBM_LEADER_ZMQ_ACK_PORT=7551
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from srtplan import flags
from srtplan.plugin import Data, EnvVar, Finding, Map, MooncakeStore, Recipe, Role, WorkerContext, ip, word

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SERVICE = "mooncake-master"
KVBM = ("DYN_CONNECTOR", "kvbm")


def check(recipe: Recipe, store: MooncakeStore | None) -> Iterable[Finding]:
    """Report a store that no role uses, and invalid variable names of its master."""
    if store is None:
        return
    for name in (n for n, _ in store.env if not VARIABLE.fullmatch(n)):
        yield Finding(
            rule="SP202",
            path=(*recipe.engine.at, "mooncake_kv_store", "env", name),
            on_key=True,
            message=f"{name!r} is not a valid environment variable name",
            help="use letters, digits and _; do not start with a digit",
        )
    uses = any("mooncake" in text for r in recipe.resources.roles for text in _texts(r.args))
    path = (*recipe.engine.at, "mooncake_kv_store")
    if not uses:
        yield Finding(
            rule="SP510",
            path=path,
            on_key=True,
            message="no role uses the Mooncake store",
            help="set the storage or transfer backend of a role to mooncake, or remove `mooncake_kv_store`",
        )
    yield from flags.check_extra_args(store.master_extra_args, Map(), PORTS, (*path, "master_extra_args"))


PORTS = ("rpc-port", "port", "http-metadata-server-port", "metrics-port")


def _texts(value: Data) -> Iterable[str]:
    """Yield all strings in options, including keys, in lowercase."""
    if isinstance(value, Map):
        for key, inner in value.pairs:
            yield key.lower()
            yield from _texts(inner)
    elif isinstance(value, tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value.lower()


def mooncake(ctx: WorkerContext, store: MooncakeStore | None) -> tuple[EnvVar, ...]:
    """Return the variables that point a worker to the job's store."""
    if store is None:
        return ()
    at, ports = ctx.job.topology.nodes.infra, ctx.job.recipe.site.ports
    metadata = word("http://", ip(at), f":{ports.mooncake_metadata}/metadata")
    return (
        EnvVar(name="MOONCAKE_LOCAL_HOSTNAME", value=ip(ctx.process.node)),
        EnvVar(name="MOONCAKE_MASTER", value=word(ip(at), f":{ports.mooncake_master}")),
        EnvVar(name="MOONCAKE_TE_META_DATA_SERVER", value=metadata),
    )


def uses_kvbm(recipe: Recipe, role: Role) -> bool:
    """Return whether the role's environment enables Dynamo's block manager."""
    return KVBM in (*role.env, *recipe.environment)


def kvbm(ctx: WorkerContext) -> tuple[EnvVar, ...]:
    """Return the address of the block manager's leader: two allocated ports instead of the defaults."""
    if not (pair := kvbm_ports(ctx)):
        return ()
    return (
        EnvVar(name="DYN_KVBM_LEADER_ZMQ_HOST", value=ip(ctx.process.node)),
        EnvVar(name="DYN_KVBM_LEADER_ZMQ_PUB_PORT", value=word(pair[0])),
        EnvVar(name="DYN_KVBM_LEADER_ZMQ_ACK_PORT", value=word(pair[1])),
    )


def kvbm_ports(ctx: WorkerContext) -> tuple[int, ...]:
    """Return the block manager's two ports, which the preflight checks."""
    return tuple(p for kind, first in ctx.process.ports if kind == "kvbm" for p in (first, first + 1))
