"""The SGLang router in front of ``sglang.launch_server`` workers, which it reaches by address; no NATS, no etcd.

Out, disaggregated::

    python -m sglang_router.launch_router --pd-disaggregation --prefill http://${IP[0]}:30000 31000
      --decode http://${IP[1]}:30000 --host 0.0.0.0 --port 8000 ...
"""

from __future__ import annotations

from collections.abc import Iterable

from srtplan import flags
from srtplan.plugin import (
    Command,
    EnvVar,
    Finding,
    Frontend,
    FrontendContext,
    JobContext,
    Lit,
    Mode,
    NoOptions,
    Process,
    Recipe,
    StandIn,
    Word,
    Words,
    interface,
    ip,
    override,
    word,
    words,
)


class SGLangRouter(
    Frontend[NoOptions],
    name="sglang",
    interfaces=("sglang_http", "openai"),
    probe="sglang_workers",
    health_path="/workers",
    step_name="router",
    reads=("request_plane",),
):
    """The SGLang router."""

    @override
    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Report flags that srtplan sets, and prefill and decode workers of engines other than SGLang."""
        if recipe.resources.disaggregated and interface(recipe) == "openai":
            yield Finding(
                rule="SP604",
                path=(*recipe.frontend.at, "type"),
                message=f"the SGLang router does not support separate prefill and decode workers of {recipe.engine.type}",
                help="use aggregated workers",
            )
        why = "srtplan passes the workers' addresses to the router"
        yield from flags.check_planned(
            recipe.frontend.args,
            (*recipe.frontend.at, "args"),
            {
                "port": "see `ports:` in the cluster profile",
                "worker-urls": why,
                "prefill": why,
                "decode": why,
                "pd-disaggregation": why,
            },
        )

    @override
    def worker_env(self, job: JobContext) -> tuple[EnvVar, ...]:
        """Return Dynamo's request plane for SGLang workers, as srtctl does; no worker connects to the router."""
        if job.interface != "sglang_http":
            return ()
        return (EnvVar(name="DYN_REQUEST_PLANE", value=Lit(job.recipe.dynamo.request_plane)),)

    @override
    def command(self, ctx: FrontendContext) -> Command:
        """Return the router's argv; see the module's docstring."""
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
