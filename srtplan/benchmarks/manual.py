"""No benchmark: the job serves until it is stopped, and prints how to reach and to stop it."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from srtplan.diagnostics import Finding
from srtplan.ir.recipe import Recipe
from srtplan.plugin import BenchmarkCommand, BenchmarkContext


@frozen(kw_only=True)
class Options:
    """None."""


@frozen(eq=False, repr=False)
class Manual:
    """The benchmark plugin."""

    name: str = "manual"
    options: type[object] = Options

    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Nothing can be wrong."""
        del recipe
        return ()

    def command(self, ctx: BenchmarkContext) -> BenchmarkCommand:
        """No terminal step."""
        del ctx
        return BenchmarkCommand(command=None)


PLUGIN = Manual()
