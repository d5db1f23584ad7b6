"""GuideLLM: ``guidellm benchmark`` sends synthetic prompts at a series of concurrencies.

Each run writes a JSON report; the pointers refer to ``GenerativeBenchmark`` (guidellm/benchmark/benchmark.py, 0.3).
"""

import json
from collections.abc import Iterable

from attrs import frozen

from srtplan.plugin import (
    RUN_DIR,
    Benchmark,
    BenchmarkCommand,
    BenchmarkContext,
    Command,
    Finding,
    Recipe,
    ReportReader,
    Run,
    StandIn,
    override,
    word,
    words,
)

METRICS = "/benchmarks/0/metrics"
TIMES = {"ttft": "time_to_first_token_ms", "tpot": "inter_token_latency_ms"}
REPORT = ReportReader(
    "guidellm",
    {
        "completed": "/benchmarks/0/request_totals/successful",
        "failed": "/benchmarks/0/request_totals/errored",
        "duration_s": "/benchmarks/0/duration",
        "input_tokens": f"{METRICS}/prompt_token_count/successful/total_sum",
        "output_tokens": f"{METRICS}/output_token_count/successful/total_sum",
        **{f"{ours}_ms_mean": f"{METRICS}/{theirs}/successful/mean" for ours, theirs in TIMES.items()},
        **{f"{ours}_ms_p50": f"{METRICS}/{theirs}/successful/median" for ours, theirs in TIMES.items()},
        **{
            f"{ours}_ms_p99": f"{METRICS}/{theirs}/successful/percentiles/p99"
            for ours, theirs in TIMES.items()
        },
        "e2e_ms_mean": (f"{METRICS}/request_latency/successful/mean", 1000),  # the report is in seconds
    },
)


@frozen(kw_only=True)
class Options:
    """Lengths are in tokens; ``package`` is what pip installs if the image does not contain guidellm."""

    isl: int = 1024
    osl: int = 128
    concurrencies: tuple[int, ...] = (1, 8)
    requests: int = 100
    package: str = "guidellm==0.3.1"


class GuideLLM(Benchmark[Options], name="guidellm"):
    """The GuideLLM benchmark."""

    @override
    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Report numbers that are not positive."""
        options = self.options_of(recipe)
        for name in ("isl", "osl", "requests"):
            if getattr(options, name) < 1:
                at = (*recipe.benchmark.at, name)
                yield Finding(rule="SP702", path=at, message=f"{name} must be at least 1")

    @override
    def command(self, ctx: BenchmarkContext) -> BenchmarkCommand:
        """Return one run per concurrency."""
        options = self.options_of(ctx.job.recipe)
        runs = tuple(_run(ctx, options, concurrency) for concurrency in options.concurrencies)
        install = words("bench::need", "guidellm", options.package)
        return BenchmarkCommand(
            command=Command(runs=runs, files=(REPORT.file,), preamble=(install,), note="GuideLLM"),
            parameters=(("client", "guidellm"), ("isl", str(options.isl)), ("osl", str(options.osl))),
        )


def _run(ctx: BenchmarkContext, options: Options, concurrency: int) -> Run:
    result = word(RUN_DIR, f"/results/guidellm/concurrency_{concurrency}.json")
    argv = words(
        *("guidellm", "benchmark", "--target", ctx.url, "--model", ctx.job.served_model_name),
        *("--processor", ctx.job.model, "--rate-type", "concurrent", "--rate", concurrency),
        *("--data", f"prompt_tokens={options.isl},output_tokens={options.osl}"),
        *("--max-requests", options.requests, "--output-path", result),
    )
    facts = (("concurrency", str(concurrency)), ("requests", str(options.requests)))
    return Run(
        name=f"concurrency_{concurrency}",
        argv=argv,
        result=result,
        client=REPORT.name,
        facts=facts,
        stand_in=StandIn(behavior="client", report=_sample(options)),
    )


def _sample(options: Options) -> str:
    """The report that a rehearsal writes: every request succeeded."""
    n = options.requests
    totals = {
        "prompt_token_count": {"successful": {"total_sum": n * options.isl}},
        "output_token_count": {"successful": {"total_sum": n * options.osl}},
        "request_latency": {"successful": {"mean": 0.5}},
    }
    times = {"mean": 10.0, "median": 10.0, "percentiles": {"p99": 20.0}}
    metrics = totals | {theirs: {"successful": times} for theirs in TIMES.values()}
    requests = {"successful": n, "errored": 0}
    return json.dumps({"benchmarks": [{"request_totals": requests, "duration": 5.0, "metrics": metrics}]})


PLUGIN = GuideLLM()
