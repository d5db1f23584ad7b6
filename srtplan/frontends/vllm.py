"""No frontend: the one aggregated ``vllm serve`` worker has the public port itself."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import field, frozen

from srtplan.diagnostics import Finding
from srtplan.ir.plan import EnvVar, ProbeType
from srtplan.ir.recipe import Recipe
from srtplan.plugin import Command, FrontendContext, Interface, JobContext


@frozen(kw_only=True)
class Options:
    """None."""


@frozen(eq=False, repr=False)
class DirectVLLM:
    """The frontend plugin."""

    name: str = "vllm"
    options: type[object] = Options
    interface: Interface = "vllm_http"
    probe: ProbeType = "http"
    health_path: str = "/health"
    step_name: str = "frontend"
    installs_dynamo: bool = False
    reads: frozenset[str] = field(default=frozenset())
    probes_workers: bool = False

    def processes(self, recipe: Recipe) -> bool:
        """Never."""
        del recipe
        return False

    def services(self, recipe: Recipe) -> tuple[str, ...]:
        """None."""
        del recipe
        return ()

    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Exactly one aggregated worker."""
        agg = recipe.resources.role("agg")
        if agg is None or agg.workers != 1:
            yield Finding(
                rule="SP602",
                path=(*recipe.frontend.at, "type"),
                message="frontend.type vllm is one aggregated worker that serves by itself",
                help="use one aggregated worker, or the dynamo frontend",
            )

    def worker_env(self, job: JobContext) -> tuple[EnvVar, ...]:
        """Nothing."""
        del job
        return ()

    def command(self, ctx: FrontendContext) -> Command:
        """Never asked for: there is no process."""
        raise AssertionError(ctx)


PLUGIN = DirectVLLM()
