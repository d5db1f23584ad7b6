"""No frontend: the only aggregated worker serves on the public port."""

from __future__ import annotations

from collections.abc import Iterable

from srtplan.plugin import Command, Finding, Frontend, FrontendContext, NoOptions, Recipe, override

HTTP = ("openai", "vllm_http", "sglang_http", "trtllm_http")
"""The interfaces of workers that clients can reach without a frontend."""


class Direct(Frontend[NoOptions], name="none", interfaces=HTTP):
    """The frontend that runs no process."""

    @override
    def processes(self, recipe: Recipe) -> bool:
        """Return False."""
        del recipe
        return False

    @override
    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Report any number of aggregated workers other than one."""
        agg = recipe.resources.role("agg")
        if agg is None or agg.workers != 1:
            yield Finding(
                rule="SP602",
                path=(*recipe.frontend.at, "type"),
                message=f"frontend.type {self.name} requires exactly one aggregated worker",
                help="use one aggregated worker, or set `frontend.type: dynamo`",
            )

    @override
    def command(self, ctx: FrontendContext) -> Command:
        """Raise AssertionError: there is no process to start."""
        raise AssertionError(ctx)
