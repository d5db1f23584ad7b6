"""The master of a Mooncake store: metadata of the KV cache that the workers of this job share.

Out: ``mooncake_master --rpc_port=8700 --enable_http_metadata_server=true ...``, in its own image if the recipe sets one.
For an engine that reads a file, also ``LOG_DIR/mooncake_store_config.json`` with the addresses and the recipe's
``store_config``.
"""

from __future__ import annotations

import json

from srtplan.plugin import (
    Command,
    EnvVar,
    Lit,
    Map,
    MooncakeStore,
    PlanFile,
    Recipe,
    Service,
    ServiceContext,
    ip,
    override,
    thaw,
    word,
    words,
)

CONFIG = "mooncake_store_config.json"
LEASE_MS = 10_000


class MooncakeMaster(Service, name="mooncake-master"):
    """The master of a Mooncake store."""

    @override
    def ports(self, recipe: Recipe) -> tuple[int, ...]:
        """Return the ports for RPC, HTTP metadata and metrics."""
        ports = recipe.site.ports
        return (ports.mooncake_master, ports.mooncake_metadata, ports.mooncake_metrics)

    @override
    def command(self, ctx: ServiceContext) -> Command:
        """Return the master's command; objects have a lease of ten seconds, and eviction starts at 90 % use."""
        store = getattr(ctx.job.recipe.engine.options, "mooncake_kv_store", None) or MooncakeStore()
        rpc, metadata, metrics = self.ports(ctx.job.recipe)
        argv = words(
            *("mooncake_master", f"--rpc_port={rpc}", "--rpc_thread_num=16"),
            *("--enable_http_metadata_server=true", "--http_metadata_server_host=0.0.0.0"),
            *(
                f"--http_metadata_server_port={metadata}",
                f"--metrics_port={metrics}",
                "--enable_metric_reporting=true",
            ),
            *(
                f"--default_kv_lease_ttl={LEASE_MS}",
                "--eviction_high_watermark_ratio=0.9",
                *store.master_extra_args,
            ),
        )
        return Command(
            argv=argv,
            env=tuple(EnvVar(name=k, value=Lit(v)) for k, v in store.env),
            files=_config(ctx, store),
            image=store.container,
            note="Mooncake master",
        )


def _config(ctx: ServiceContext, store: MooncakeStore) -> tuple[PlanFile, ...]:
    """Return the file of ``store_config``, or none for an engine whose store has no such field."""
    if not hasattr(store, "store_config"):
        return ()
    ports, at = ctx.job.recipe.site.ports, ip(ctx.node)
    extra = store.store_config or Map()
    rest = "".join(f',\n "{k}": {json.dumps(thaw(v))}' for k, v in sorted(extra.pairs))
    content = word(
        *('{\n "master_server_address": "', at, f':{ports.mooncake_master}",\n'),
        *(' "metadata_server": "http://', at, f':{ports.mooncake_metadata}/metadata"', rest, "\n}\n"),
    )
    return (PlanFile(path=CONFIG, content=content, run_time=True),)


PLUGIN = MooncakeMaster()
