"""The Dynamo frontend: an OpenAI-compatible HTTP server that finds workers through etcd.

NATS carries KV events and, where ``dynamo.request_plane`` is ``nats``, the requests; it runs unless neither plane uses it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from srtplan import flags
from srtplan.plugin import (
    Command,
    EnvVar,
    Finding,
    Frontend,
    FrontendContext,
    JobContext,
    Lit,
    NoOptions,
    Recipe,
    SrunOption,
    StandIn,
    node,
    override,
    word,
    words,
)

SRUN = (SrunOption(name="mpi", value=Lit("pmix")),)
PLAIN_LOG = EnvVar(name="DYN_SKIP_SGLANG_LOG_FORMATTING", value=Lit("1"))


class DynamoFrontend(
    Frontend[NoOptions],
    name="dynamo",
    interfaces=("dynamo",),
    probe="dynamo_health",
    installs_dynamo=True,
    reads=("request_plane", "event_plane"),
):
    """The Dynamo frontend."""

    @override
    def services(self, recipe: Recipe) -> tuple[str, ...]:
        """Return etcd, and NATS unless requests use TCP or HTTP and events use ZMQ."""
        planes = recipe.dynamo
        needs_nats = planes.request_plane == "nats" or planes.event_plane != "zmq"
        return ("nats", "etcd") if needs_nats else ("etcd",)

    @override
    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Report flags that srtplan sets."""
        yield from flags.check_planned(
            recipe.frontend.args,
            (*recipe.frontend.at, "args"),
            {
                "http-port": "see `ports:` in the cluster profile",
                "http-host": "it listens on every interface",
            },
        )

    @override
    def worker_env(self, job: JobContext) -> tuple[EnvVar, ...]:
        """Return the addresses of etcd and NATS, by host name."""
        return _discovery(job)

    @override
    def command(self, ctx: FrontendContext) -> Command:
        """Return ``python3 -m dynamo.frontend --http-port=PORT`` and the recipe's args, in the recipe's order."""
        recipe = ctx.job.recipe
        args = flags.render(recipe.frontend.args, name=str, ordered=False)
        return Command(
            argv=(*words("python3", "-m", "dynamo.frontend", f"--http-port={ctx.port}"), *args),
            env=(*self.worker_env(ctx.job), PLAIN_LOG),
            srun=SRUN,
            listens=(ctx.port,),
            note=f"Dynamo frontend {ctx.index}",
            stand_in=StandIn(behavior="dynamo_frontend"),
        )


@lru_cache(maxsize=4)
def _discovery(job: JobContext) -> tuple[EnvVar, ...]:
    """Return the discovery variables, which all workers and frontends share."""
    recipe, infra = job.recipe, job.topology.nodes.infra
    ports = recipe.site.ports
    env = [EnvVar(name="ETCD_ENDPOINTS", value=word("http://", node(infra), ":", ports.etcd))]
    if "nats" in PLUGIN.services(recipe):
        env.append(EnvVar(name="NATS_SERVER", value=word("nats://", node(infra), ":", ports.nats)))
    env.append(EnvVar(name="DYN_REQUEST_PLANE", value=Lit(recipe.dynamo.request_plane)))
    if recipe.dynamo.event_plane:
        env.append(EnvVar(name="DYN_EVENT_PLANE", value=Lit(recipe.dynamo.event_plane)))
    return tuple(env)


PLUGIN = DynamoFrontend()
