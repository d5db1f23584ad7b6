"""No frontend: the one aggregated worker serves at the public port itself."""

from __future__ import annotations

from collections.abc import Iterable

from srtplan.plugin import Command, Finding, Frontend, FrontendContext, NoOptions, Recipe, override

HTTP = ("openai", "vllm_http", "sglang_http", "trtllm_http")
"""The interfaces of workers that clients can reach without a frontend."""


class Direct(Frontend[NoOptions], name="none", interfaces=HTTP):
    """The frontend plugin."""

    @override
    def processes(self, recipe: Recipe) -> bool:
        """Never."""
        del recipe
        return False

    @override
    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Exactly one aggregated worker."""
        agg = recipe.resources.role("agg")
        if agg is None or agg.workers != 1:
            yield Finding(
                rule="SP602",
                path=(*recipe.frontend.at, "type"),
                message=f"frontend.type {self.name} is one aggregated worker that serves by itself",
                help="use one aggregated worker, or the dynamo frontend",
            )

    @override
    def command(self, ctx: FrontendContext) -> Command:
        """Never asked for: there is no process."""
        raise AssertionError(ctx)
