"""router: aiperf measures how well a router uses prefixes that requests share.

Each ratio r is one run of ``num_requests`` requests of ``isl`` tokens; the first ``r * isl`` tokens are one of 20 shared
prefixes. Every run has its own seed: with the same prefixes, an earlier run would fill the cache for later ones.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from srtplan.benchmarks.clients import checks
from srtplan.benchmarks.clients.aiperf import CONCURRENCY, SEED, check_aiperf, profile
from srtplan.benchmarks.clients.facts import texts
from srtplan.benchmarks.clients.packages import AIPERF
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

PREFIXES = 20
DECIDED = {
    "concurrency": CONCURRENCY,
    "num_requests": ("request-count", "conversation-num", "benchmark-duration"),
    "isl": ("isl", "isl-min", "isl-max", "isl-steps"),
    "osl": ("osl", "osl-min", "osl-max", "osl-steps"),
    "isl and osl": ("isl-osl-pairs", "sequence-distribution"),
    "prefix_ratios": ("num-prefix-prompts", "prefix-prompt-length", "shared-system-prompt-length"),
}
"""Flags of aiperf that a field sets."""


@frozen(kw_only=True)
class Options:
    """``prefix_ratios`` is a list, or numbers separated by spaces."""

    isl: int = 14000
    osl: int = 200
    num_requests: int = 200
    concurrency: int = 20
    prefix_ratios: tuple[float, ...] | str = (0.1, 0.3, 0.5, 0.7, 0.9)
    aiperf_package: str | None = None
    aiperf_args: Map = EMPTY
    container_image: str | None = None


class Router(Benchmark[Options], name="router"):
    """The prefix reuse benchmark."""

    @override
    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Report values out of range."""
        yield from checks.bounds(recipe, {"isl": 2, "osl": 1, "num_requests": 1, "concurrency": 1})
        if not _ratios(self.options_of(recipe)):
            yield checks.invalid(
                recipe, "prefix_ratios", "must be distinct numbers, at least 0 and less than 1"
            )
        yield from check_aiperf(recipe, DECIDED)

    @override
    def command(self, ctx: BenchmarkContext) -> BenchmarkCommand:
        """Return one run per ratio."""
        o = self.options_of(ctx.job.recipe)
        ratios = _ratios(o)
        values = {
            "client": "aiperf",
            "isl": o.isl,
            "osl": o.osl,
            "num_requests": o.num_requests,
            "concurrency": o.concurrency,
            "prefix_ratios": " ".join(f"{r:g}" for r in ratios),
            "aiperf_package": AIPERF.chosen(ctx.job.recipe),
            "aiperf_args": o.aiperf_args,
        }
        return BenchmarkCommand(
            command=Command(
                runs=tuple(_run(ctx, o, r, SEED + n) for n, r in enumerate(ratios)),
                preamble=(words("setup::open_files", 65536), AIPERF.needed(ctx.job.recipe)),
                note="prefix ratios with aiperf",
            ),
            parameters=texts(values),
            image=o.container_image,
            inputs=AIPERF.inputs(ctx.job.recipe),
        )


def _run(ctx: BenchmarkContext, o: Options, ratio: float, seed: int) -> Run:
    common = round(o.isl * ratio)
    shared = ("--num-prefix-prompts", PREFIXES, "--prefix-prompt-length", common) if common else ()
    own = words(
        *("--endpoint-type", "chat", "--isl", max(1, o.isl - common), "--osl", o.osl, *shared),
        *("--extra-inputs", "ignore_eos:true"),
        *("--concurrency", o.concurrency, "--request-count", o.num_requests),
    )
    facts = (
        ("concurrency", str(o.concurrency)),
        ("prefix_ratio", f"{ratio:g}"),
        ("requests", str(o.num_requests)),
    )
    return profile(ctx, f"prefix_{ratio:g}", own, facts=facts, seed=seed)


def _ratios(o: Options) -> tuple[float, ...]:
    """Return the ratios, or none if one of them is invalid."""
    values = o.prefix_ratios.split() if isinstance(o.prefix_ratios, str) else o.prefix_ratios
    try:
        ratios = tuple(float(r) for r in values)
    except ValueError:
        return ()
    valid = all(0 <= r < 1 for r in ratios) and len({f"{r:g}" for r in ratios}) == len(ratios)
    return ratios if valid else ()


PLUGIN = Router()
