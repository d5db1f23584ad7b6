"""NATS: Dynamo's messages between frontends and workers.

Runs ``nats-server`` of the job's image (or of ``/configs``, where srtctl keeps it) with JetStream in a directory of this
job, so a leftover server's data is never read. It is named after the job, and the probe asks for that name: another job's
server that answers at the port is not taken for ours.
"""

from __future__ import annotations

from srtplan.plugin import (
    JOB_ID,
    LOG_DIR,
    OWN_NAME,
    Command,
    PlanFile,
    Recipe,
    Service,
    ServiceContext,
    StandIn,
    override,
    word,
    words,
)


class Nats(Service, name="nats", probe="nats"):
    """The service plugin."""

    @override
    def ports(self, recipe: Recipe) -> tuple[int, ...]:
        """The client port."""
        return (recipe.site.ports.nats,)

    @override
    def command(self, ctx: ServiceContext) -> Command:
        """JetStream on; a configuration file only where the message limit is changed."""
        recipe = ctx.job.recipe
        port = recipe.site.ports.nats
        store = word("/tmp/srtplan-", JOB_ID, "-nats")  # noqa: S108 -- node-local, named after the job, made fresh
        argv = words("nats-server", "--name", OWN_NAME, "--jetstream", "--store_dir", store, "--port", port)
        files: tuple[PlanFile, ...] = ()
        if recipe.infra.nats_max_payload_mb is not None:
            limit = recipe.infra.nats_max_payload_mb * 1024 * 1024
            files = (PlanFile(path="nats.conf", content=word(f"max_payload: {limit}\n"), run_time=True),)
            argv = words(*argv, "--config", word(LOG_DIR, "/nats.conf"))
        return Command(
            argv=argv,
            files=files,
            preamble=(words("setup::scratch", store),),
            note="NATS server",
            stand_in=StandIn(behavior="nats"),
        )


PLUGIN = Nats()
