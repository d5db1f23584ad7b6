"""trace-replay: aiperf sends the requests of a trace at a series of concurrencies.

The trace is in Mooncake's format, a JSON object a line::

    {"timestamp": 0, "input_length": 512, "output_length": 64, "hash_ids": [1]}

Timestamps are ignored; the concurrency controls the load.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from srtplan.benchmarks.clients import checks
from srtplan.benchmarks.clients.aiperf import CONCURRENCY, check_aiperf, profile, trace_name
from srtplan.benchmarks.clients.facts import texts
from srtplan.benchmarks.clients.packages import AIPERF
from srtplan.benchmarks.clients.workers import metrics_env
from srtplan.plugin import (
    EMPTY,
    Benchmark,
    BenchmarkCommand,
    BenchmarkContext,
    Command,
    Finding,
    Map,
    Recipe,
    Run,
    override,
    words,
)


@frozen(kw_only=True)
class Options:
    """``trace_file`` is an absolute path; ``aiperf_args`` adds flags of aiperf, or overrides those of srtplan.

    Flags for the address, the results, and anything that a field sets are rejected.
    """

    trace_file: str | None = None
    concurrencies: tuple[int | str, ...] | str | None = None
    aiperf_package: str | None = None
    aiperf_args: Map = EMPTY
    container_image: str | None = None


class TraceReplay(Benchmark[Options], name="trace-replay"):
    """The trace replay benchmark."""

    @override
    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Report missing fields and invalid values."""
        o = self.options_of(recipe)
        yield from checks.required(recipe, "trace_file", "concurrencies")
        yield from checks.concurrencies(recipe, o.concurrencies)
        yield from checks.absolute_paths(recipe, "trace_file")
        yield from check_aiperf(recipe, {"concurrencies": CONCURRENCY})

    @override
    def command(self, ctx: BenchmarkContext) -> BenchmarkCommand:
        """Return one run per concurrency."""
        o = self.options_of(ctx.job.recipe)
        rungs = checks.rungs(o.concurrencies) or ()
        runs = tuple(_run(ctx, o, c) for c in dict.fromkeys(rungs))
        values = {
            "client": "aiperf",
            "trace_file": o.trace_file,
            "concurrencies": "x".join(map(str, rungs)),
            "aiperf_package": AIPERF.chosen(ctx.job.recipe),
            "aiperf_args": o.aiperf_args,
        }
        return BenchmarkCommand(
            command=Command(
                runs=runs,
                env=metrics_env(ctx),
                preamble=(words("setup::open_files", 65536), AIPERF.needed(ctx.job.recipe)),
                note="trace replay with aiperf",
            ),
            parameters=texts(values),
            image=o.container_image,
            inputs=(*checks.inputs(ctx.job.recipe, "trace_file"), *AIPERF.inputs(ctx.job.recipe)),
        )


def _run(ctx: BenchmarkContext, o: Options, c: int) -> Run:
    own = words(
        *("--endpoint-type", "chat", "--input-file", o.trace_file or ""),
        *("--custom-dataset-type", "mooncake_trace", "--no-fixed-schedule", "--ignore-trace-delays"),
        *("--extra-inputs", "ignore_eos:true", "--concurrency", c),
    )
    trace = o.trace_file or ""
    facts = (("concurrency", str(c)), ("workload", trace_name(trace)))
    return profile(ctx, f"concurrency_{c}", own, facts=facts, whole=trace)


PLUGIN = TraceReplay()
