"""NATS: messaging between Dynamo's frontends and workers.

Runs ``nats-server`` from the job's image (or from ``/configs``, where srtctl keeps it). JetStream data is in a directory of
this job, so data of a leftover server is never read. The server is named after the job. The probe checks the name, so
another job's server on the same port does not count as ready.
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
    """The NATS service."""

    @override
    def ports(self, recipe: Recipe) -> tuple[int, ...]:
        """Return the client port."""
        return (recipe.site.ports.nats,)

    @override
    def command(self, ctx: ServiceContext) -> Command:
        """Return the command with JetStream; a configuration file is added only to change the message limit."""
        recipe = ctx.job.recipe
        port = recipe.site.ports.nats
        store = word("/tmp/srtplan-", JOB_ID, "-nats")  # noqa: S108 -- node-local, named after the job, created fresh
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
