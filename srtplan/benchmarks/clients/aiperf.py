"""aiperf runs of the trace and prefix benchmarks; ``serving.py`` has aiperf's runs at a series of concurrencies.

Out: ``bench::aiperf RESULT ARTIFACTS -- aiperf profile --model ... --url http://... --streaming ...``; the runtime library
moves aiperf's report to the path of the result. Source: ``aiperf profile --help`` (0.13.0).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Protocol, cast

from srtplan import flags
from srtplan.benchmarks.clients.facts import results
from srtplan.benchmarks.clients.packages import AIPERF
from srtplan.benchmarks.clients.workers import metrics_urls
from srtplan.plugin import BenchmarkContext, Finding, Map, Recipe, Run, StandIn, Word, Words, words

SEED = 42
STAND_IN = StandIn(behavior="aiperf")
DECIDED = {
    "url": "it is the address of the job's frontend",
    "u": "it is the address of the job's frontend",
    "model-names": "it is the served model",
    "m": "it is the served model",
    "artifact-dir": "srtplan writes results to the run directory",
    "profile-export-file": "srtplan finds the report by its default name",
    "config": "a settings file could override srtplan's flags",
    "input-file": "set the trace file under `benchmark:`",
}
"""Flags that srtplan sets in every run of aiperf, by their canonical names."""

CONCURRENCY = ("concurrency", "concurrency-min", "concurrency-max", "concurrency-steps", "user-centric-rate")

ALIASES = (
    ("request-count", "num-requests"),
    ("isl", "prompt-input-tokens-mean", "synthetic-input-tokens-mean"),
    ("osl", "prompt-output-tokens-mean", "output-tokens-mean"),
    ("num-prefix-prompts", "prompt-prefix-pool-size", "prefix-prompt-pool-size"),
    ("prefix-prompt-length", "prompt-prefix-length"),
    ("conversation-num", "num-conversations", "num-sessions"),
    ("sequence-distribution", "seq-dist"),
    ("model-names", "model"),
    ("artifact-dir", "output-artifact-dir"),
    ("profile-export-file", "profile-export-prefix"),
    ("ui", "ui-type"),
)
"""Flags with several names, the canonical one first: aiperf rejects a command that contains a flag twice."""
CANONICAL = {name: names[0] for names in ALIASES for name in names}


class _Options(Protocol):
    aiperf_args: Map


def check_aiperf(recipe: Recipe, fields: Mapping[str, tuple[str, ...]]) -> Iterable[Finding]:
    """Report arguments that srtplan sets, duplicates, and packages that are not pinned.

    ``fields`` maps fields of this benchmark to the canonical names of the flags that they set.
    """
    o = cast("_Options", recipe.benchmark.options)
    at = recipe.benchmark.at
    yield from AIPERF.check(recipe)
    yield from flags.check_duplicates(o.aiperf_args, (*at, "aiperf_args"), *ALIASES)
    known = DECIDED | {
        flag: f"set `{field}` under `benchmark:`" for field, own in fields.items() for flag in own
    }
    names = {n: known[CANONICAL.get(n, n)] for n in (*known, *CANONICAL) if CANONICAL.get(n, n) in known}
    yield from flags.check_planned(o.aiperf_args, (*at, "aiperf_args"), names)


def trace_name(path: str) -> str:
    """Return a trace's name for files and tables: ``/data/toolagent_trace.jsonl`` is ``toolagent``."""
    stem = path.rstrip("/").rpartition("/")[2].partition(".")[0].removesuffix("_trace")
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem) or "trace"


def profile(
    ctx: BenchmarkContext,
    name: str,
    own: Words,
    *,
    facts: tuple[tuple[str, str], ...] = (),
    whole: str = "",
    seed: int = SEED,
) -> Run:
    """Return a measured run; ``own`` are the arguments of its load, ``whole`` is a trace that is sent completely.

    A request count in the recipe's ``aiperf_args`` takes precedence. Runs with equal ``seed`` send the same prompts.
    """
    result = results("aiperf", f"{name}.json")
    argv = _argv(ctx, name, own, result, seed=seed)
    if whole and "request-count" not in _recipe_flags(ctx):
        argv = (*words("bench::aiperf_trace", whole), *argv[1:])
    return Run(name=name, argv=argv, result=result, client="aiperf", facts=facts, stand_in=STAND_IN)


def warmup(ctx: BenchmarkContext, name: str, own: Words) -> Run:
    """Return a run without a report."""
    return Run(name=name, argv=_argv(ctx, name, own, None), stand_in=STAND_IN)


def _argv(ctx: BenchmarkContext, name: str, own: Words, result: Word | None, *, seed: int = SEED) -> Words:
    o = cast("_Options", ctx.job.recipe.benchmark.options)
    artifacts = results("aiperf", f"{name}.d")
    head = words(
        *("bench::aiperf", result or "/dev/null", artifacts, "--", "aiperf", "profile"),
        *(
            "--model",
            ctx.job.served_model_name,
            "--tokenizer",
            ctx.job.model,
            "--tokenizer-trust-remote-code",
        ),
        *(
            "--url",
            ctx.url,
            "--streaming",
            "--use-server-token-count",
            "--random-seed",
            seed,
            "--ui",
            "simple",
            "--artifact-dir",
            artifacts,
        ),
    )
    overridden = _recipe_flags(ctx)
    urls = metrics_urls(ctx) if not overridden & {"server-metrics", "no-server-metrics"} else ()
    scrape = words("--server-metrics", *urls) if urls else ()
    return (*_without(head, overridden), *_without(own, overridden), *scrape, *flags.render(o.aiperf_args))


def _recipe_flags(ctx: BenchmarkContext) -> set[str]:
    """Return the canonical names of the flags in the recipe's ``aiperf_args``."""
    o = cast("_Options", ctx.job.recipe.benchmark.options)
    return {CANONICAL.get(name, name) for name in (flags.dashed(k) for k, _ in o.aiperf_args.pairs)}


def _without(argv: Words, names: set[str]) -> Words:
    """Return the command without the named flags and their values."""
    out: list[Word] = []
    dropping = False
    for item in argv:
        text = getattr(item, "text", "")
        if text.startswith("--") and len(text) > len("--"):
            dropping = text.removeprefix("--") in names
        if not dropping:
            out.append(item)
    return tuple(out)
