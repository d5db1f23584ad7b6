"""The SGLang router in front of ``sglang.launch_server`` workers, which it is told by address; no NATS, no etcd.

Out, disaggregated::

    python -m sglang_router.launch_router --pd-disaggregation --prefill http://${IP[0]}:30000 31000
      --decode http://${IP[1]}:30000 --host 0.0.0.0 --port 8000 ...
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import field, frozen

from srtplan import flags
from srtplan.diagnostics import Finding
from srtplan.ir.plan import EnvVar, ProbeType, StandIn
from srtplan.ir.recipe import Mode, Recipe
from srtplan.ir.shell import Lit, Word, Words, ip, word, words
from srtplan.ir.topology import Process
from srtplan.plugin import Command, FrontendContext, Interface, JobContext


@frozen(kw_only=True)
class Options:
    """Nothing beyond the common fields."""


@frozen(eq=False, repr=False)
class SGLangRouter:
    """The frontend plugin."""

    name: str = "sglang"
    options: type[object] = Options
    interface: Interface = "sglang_http"
    probe: ProbeType = "sglang_workers"
    health_path: str = "/workers"
    step_name: str = "router"
    installs_dynamo: bool = False
    reads: frozenset[str] = field(default=frozenset(("request_plane",)))
    probes_workers: bool = False

    def processes(self, recipe: Recipe) -> bool:
        """Always."""
        del recipe
        return True

    def services(self, recipe: Recipe) -> tuple[str, ...]:
        """None: the router is told its workers."""
        del recipe
        return ()

    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Workers and ports are the plan's."""
        says = "the plan tells the router its workers"
        yield from flags.decided(
            recipe.frontend.args,
            (*recipe.frontend.at, "args"),
            {
                "port": "see `ports:` in the cluster profile",
                "worker-urls": says,
                "prefill": says,
                "decode": says,
                "pd-disaggregation": says,
            },
        )

    def worker_env(self, job: JobContext) -> tuple[EnvVar, ...]:
        """Nothing: workers do not look for the router."""
        return (EnvVar(name="DYN_REQUEST_PLANE", value=Lit(job.recipe.dynamo.request_plane)),)

    def command(self, ctx: FrontendContext) -> Command:
        """The router's argv; see the module's docstring."""
        recipe = ctx.job.recipe
        argv = words("python", "-m", "sglang_router.launch_router", *_workers(ctx.job))
        listen = words("--host", "0.0.0.0", "--port", ctx.port)  # noqa: S104 -- clients are on other nodes
        args = flags.render(recipe.frontend.args, name=str, ordered=False)
        return Command(
            argv=(*argv, *listen, *args),
            listens=(ctx.port,),
            note=f"SGLang router {ctx.index}",
            stand_in=StandIn(behavior="sglang_router"),
        )


def _workers(job: JobContext) -> Words:
    topology = job.topology
    if not job.recipe.resources.disaggregated:
        return words("--worker-urls", *(_url(job, p) for p in topology.leaders("agg")))
    out: list[str | int | Word] = ["--pd-disaggregation"]
    for p in topology.leaders("prefill"):
        out += ["--prefill", _url(job, p), p.port("bootstrap")]
    for p in topology.leaders("decode"):
        out += ["--decode", _url(job, p)]
    return words(*out)


def _url(job: JobContext, process: Process) -> Word:
    scheme = "grpc" if _grpc(job.recipe, process.mode) else "http"
    return word(f"{scheme}://", ip(process.node), ":", process.port("http"))


def _grpc(recipe: Recipe, mode: Mode) -> bool:
    role = recipe.resources.role(mode)
    return role is not None and flags.lookup(role.args, "grpc-mode") is True


PLUGIN = SGLangRouter()
