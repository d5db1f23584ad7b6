"""etcd: discovery for Dynamo's workers and frontends, with data in a node-local directory of this job.

Its only member is named after the job. The probe checks the name, so another job's etcd does not count as ready.
"""

from __future__ import annotations

from srtplan.plugin import (
    JOB_ID,
    OWN_NAME,
    Command,
    Recipe,
    Service,
    ServiceContext,
    StandIn,
    ip,
    override,
    word,
    words,
)


class Etcd(Service, name="etcd", probe="etcd"):
    """The etcd service."""

    @override
    def ports(self, recipe: Recipe) -> tuple[int, ...]:
        """Return the client port and the peer port."""
        return (recipe.site.ports.etcd, recipe.site.ports.etcd_peer)

    @override
    def command(self, ctx: ServiceContext) -> Command:
        """Return the command of a single-node cluster that listens on all interfaces and advertises its own address."""
        client, peer = self.ports(ctx.job.recipe)
        store = word("/tmp/srtplan-", JOB_ID, "-etcd")  # noqa: S108 -- node-local, named after the job, created fresh
        at = word("http://", ip(ctx.node), ":", peer)
        argv = words(
            *("etcd", "--name", OWN_NAME, "--data-dir", store),
            *("--listen-client-urls", f"http://0.0.0.0:{client}"),
            *("--advertise-client-urls", word("http://", ip(ctx.node), ":", client)),
            *("--listen-peer-urls", f"http://0.0.0.0:{peer}"),
            *("--initial-advertise-peer-urls", at, "--initial-cluster", word(OWN_NAME, "=", at)),
        )
        return Command(
            argv=argv,
            preamble=(words("setup::scratch", store),),
            note="etcd server",
            stand_in=StandIn(behavior="etcd"),
        )


PLUGIN = Etcd()
