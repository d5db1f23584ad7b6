"""mooncake-router: aiperf replays a public trace with its timestamps and counts requests that meet both latency targets.

``mooncake_workload`` names one of four workloads of the Mooncake paper; ``trace_file`` is a local copy of one, or any other
trace. Without ``trace_file``, the job downloads the trace, checks it against ``trace_sha256`` if that is set, and keeps it
with the results.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import attrs
from attrs import frozen

from srtplan.benchmarks.clients import checks
from srtplan.benchmarks.clients.aiperf import check_aiperf, profile, trace_name, warmup
from srtplan.benchmarks.clients.facts import results, texts
from srtplan.benchmarks.clients.packages import AIPERF
from srtplan.benchmarks.clients.workers import metrics_env
from srtplan.plugin import (
    EMPTY,
    Benchmark,
    BenchmarkCommand,
    BenchmarkContext,
    Command,
    Finding,
    Input,
    Map,
    Recipe,
    Run,
    Word,
    Words,
    override,
    word,
    words,
)

FOLDER = "https://raw.githubusercontent.com/kvcache-ai/Mooncake/main/FAST25-release"
FILES = {
    "mooncake": "arxiv-trace/mooncake_trace.jsonl",
    "conversation": "traces/conversation_trace.jsonl",
    "synthetic": "traces/synthetic_trace.jsonl",
    "toolagent": "traces/toolagent_trace.jsonl",
}
DECIDED = {"ttft_threshold_ms and itl_threshold_ms": ("goodput",)}
SHA256_DIGITS = 64
WARMUP = (
    "--isl",
    512,
    "--osl",
    64,
    "--extra-inputs",
    "ignore_eos:true",
    "--concurrency",
    10,
    "--request-count",
    20,
)


@frozen(kw_only=True)
class Options:
    """Thresholds are in milliseconds: a good request meets both, for its first token and its mean gap between tokens."""

    mooncake_workload: Literal["mooncake", "conversation", "synthetic", "toolagent"] = "conversation"
    ttft_threshold_ms: int = 2000
    itl_threshold_ms: int = 25
    trace_file: str | None = None
    trace_sha256: str | None = None
    aiperf_package: str | None = None
    aiperf_args: Map = EMPTY
    container_image: str | None = None


class MooncakeRouter(Benchmark[Options], name="mooncake-router"):
    """The Mooncake trace benchmark."""

    @override
    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Report invalid thresholds and checksums, and a trace that must be downloaded."""
        o = self.options_of(recipe)
        yield from checks.bounds(recipe, {"ttft_threshold_ms": 1, "itl_threshold_ms": 1})
        yield from checks.absolute_paths(recipe, "trace_file")
        if o.trace_sha256 and (
            len(o.trace_sha256) != SHA256_DIGITS or set(o.trace_sha256) - set("0123456789abcdef")
        ):
            yield checks.invalid(recipe, "trace_sha256", "must be 64 lowercase hexadecimal digits")
        if o.trace_file and o.mooncake_workload != attrs.fields(Options).mooncake_workload.default:
            yield checks.without_effect(recipe, "mooncake_workload", "trace_file is set")
        if not o.trace_file:
            yield checks.download(recipe, f"the {o.mooncake_workload} trace", "trace_file")
        yield from check_aiperf(recipe, DECIDED)

    @override
    def command(self, ctx: BenchmarkContext) -> BenchmarkCommand:
        """Return a short warm-up run, then the trace."""
        o = self.options_of(ctx.job.recipe)
        trace, fetch = _trace(o)
        return BenchmarkCommand(
            command=Command(
                runs=_runs(ctx, o, trace),
                env=metrics_env(ctx),
                preamble=(words("setup::open_files", 65536), *fetch, AIPERF.needed(ctx.job.recipe)),
                note="Mooncake trace with aiperf",
            ),
            parameters=_parameters(o, AIPERF.chosen(ctx.job.recipe)),
            image=o.container_image,
            inputs=(*_inputs(ctx.job.recipe, o), *AIPERF.inputs(ctx.job.recipe)),
        )


def _runs(ctx: BenchmarkContext, o: Options, trace: Word) -> tuple[Run, ...]:
    chat = words("--endpoint-type", "chat")
    goodput = f"time_to_first_token:{o.ttft_threshold_ms} inter_token_latency:{o.itl_threshold_ms}"
    main = words(
        *(*chat, "--input-file", trace, "--custom-dataset-type", "mooncake_trace"),
        *("--fixed-schedule", "--fixed-schedule-auto-offset", "--goodput", goodput),
    )
    name = _workload(o)
    return (
        warmup(ctx, "warmup", words(*chat, *WARMUP)),
        profile(ctx, name, main, facts=(("workload", name),)),
    )


def _parameters(o: Options, package: str) -> tuple[tuple[str, str], ...]:
    own = {n: getattr(o, n) for n in ("trace_file", "ttft_threshold_ms", "itl_threshold_ms", "aiperf_args")}
    return texts({"client": "aiperf", "mooncake_workload": _workload(o)} | own | {"aiperf_package": package})


def _workload(o: Options) -> str:
    """Return the name of the workload: that of ``trace_file`` if it is set."""
    return trace_name(o.trace_file) if o.trace_file else o.mooncake_workload


def _inputs(recipe: Recipe, o: Options) -> tuple[Input, ...]:
    """Return the trace file, or the address from which it is downloaded."""
    if o.trace_file:
        return checks.inputs(recipe, "trace_file")
    return (Input(path=_address(o), why="benchmark.mooncake_workload"),)


def _address(o: Options) -> str:
    return f"{FOLDER}/{FILES[o.mooncake_workload]}"


def _trace(o: Options) -> tuple[Word, tuple[Words, ...]]:
    """Return the path of the trace, and the call that downloads or checks it."""
    if o.trace_file:
        check = (words("bench::verify", o.trace_file, o.trace_sha256),) if o.trace_sha256 else ()
        return word(o.trace_file), check
    path = results("traces", f"{o.mooncake_workload}_trace.jsonl")
    return path, (words("bench::fetch", _address(o), path, o.trace_sha256 or ""),)


PLUGIN = MooncakeRouter()
