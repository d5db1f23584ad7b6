"""No benchmark: the job serves until it is stopped, and prints how to reach and to stop it."""

from __future__ import annotations

from srtplan.plugin import Benchmark, BenchmarkCommand, BenchmarkContext, NoOptions, override


class Manual(Benchmark[NoOptions], name="manual", sends_requests=False):
    """The benchmark plugin."""

    @override
    def command(self, ctx: BenchmarkContext) -> BenchmarkCommand:
        """No terminal step."""
        del ctx
        return BenchmarkCommand(command=None)


PLUGIN = Manual()
