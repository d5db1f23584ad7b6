"""No benchmark: the job serves until it is stopped, and prints how to reach it and how to stop it."""

from __future__ import annotations

from srtplan.plugin import Benchmark, BenchmarkCommand, BenchmarkContext, NoOptions, override


class Manual(Benchmark[NoOptions], name="manual", sends_requests=False):
    """The manual benchmark: no client."""

    @override
    def command(self, ctx: BenchmarkContext) -> BenchmarkCommand:
        """Return no command."""
        del ctx
        return BenchmarkCommand(command=None)


PLUGIN = Manual()
