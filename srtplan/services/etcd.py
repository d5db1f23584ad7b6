"""etcd: where Dynamo's workers and frontends find each other. Its data lives in a node-local directory of this job.

Its only member is named after the job, and the probe asks for that name: another job's etcd is not taken for ours.
"""

from __future__ import annotations

from attrs import frozen

from srtplan.ir.plan import ProbeType, StandIn
from srtplan.ir.recipe import Recipe
from srtplan.ir.shell import JOB_ID, ip, word, words
from srtplan.plugin import OWN_NAME, Command, ServiceContext


@frozen(eq=False, repr=False)
class Etcd:
    """The service plugin."""

    name: str = "etcd"
    probe: ProbeType = "etcd"

    def ports(self, recipe: Recipe) -> tuple[int, ...]:
        """Client port, peer port."""
        return (recipe.site.ports.etcd, recipe.site.ports.etcd_peer)

    def command(self, ctx: ServiceContext) -> Command:
        """A cluster of one, listening on all interfaces and telling its own address."""
        client, peer = self.ports(ctx.job.recipe)
        store = word("/tmp/srtplan-", JOB_ID, "-etcd")  # noqa: S108 -- node-local, named after the job, made fresh
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
