"""aiperf: the runs of benchmarks that are its own (traces, prefixes), beside the ladders of ``serving.py``.

Out: ``bench::aiperf RESULT ARTIFACTS -- aiperf profile --model ... --url http://... --streaming ...``; the library puts
aiperf's report where the result is expected. Source: ``aiperf profile --help`` (0.13.0).
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
    "url": "it is the job's own frontend",
    "u": "it is the job's own frontend",
    "model-names": "it is the served model",
    "m": "it is the served model",
    "artifact-dir": "results belong into the run directory",
    "profile-export-file": "the report is taken by its name",
    "config": "a file of settings could change what the plan says",
    "input-file": "give the trace by its own field",
}
"""Flags of every run of aiperf, by our names for them."""

CONCURRENCY = ("concurrency", "concurrency-min", "concurrency-max", "concurrency-steps", "user-centric-rate")

SAME = (
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
"""Flags with several names, ours first: aiperf refuses a command that has one of them twice."""
FIRST = {name: names[0] for names in SAME for name in names}


class _Options(Protocol):
    aiperf_args: Map


def check_aiperf(recipe: Recipe, fields: Mapping[str, tuple[str, ...]]) -> Iterable[Finding]:
    """Arguments that are decided here or stand twice; a package that may be another one tomorrow.

    ``fields`` are the fields of this benchmark that decide flags, and those, by our names.
    """
    o = cast("_Options", recipe.benchmark.options)
    at = recipe.benchmark.at
    yield from AIPERF.check(recipe)
    yield from flags.check_duplicates(o.aiperf_args, (*at, "aiperf_args"), *SAME)
    known = DECIDED | {flag: f"set benchmark.{field}" for field, own in fields.items() for flag in own}
    names = {n: known[FIRST.get(n, n)] for n in (*known, *FIRST) if FIRST.get(n, n) in known}
    yield from flags.check_planned(o.aiperf_args, (*at, "aiperf_args"), names)


def trace_name(path: str) -> str:
    """``/data/toolagent_trace.jsonl`` is ``toolagent``: letters, digits and ``._-``, for files and tables."""
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
    """One measured run; ``own`` are the arguments of its load, ``whole`` a trace that is sent to its end.

    A recipe that says itself how many requests are sent gets so many. Runs of one ``seed`` send the same prompts.
    """
    result = results("aiperf", f"{name}.json")
    argv = _argv(ctx, name, own, result, seed=seed)
    if whole and "request-count" not in _given(ctx):
        argv = (*words("bench::aiperf_trace", whole), *argv[1:])
    return Run(name=name, argv=argv, result=result, client="aiperf", facts=facts, stand_in=STAND_IN)


def warmup(ctx: BenchmarkContext, name: str, own: Words) -> Run:
    """A run whose report is of no interest."""
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
    mine = _given(ctx)
    urls = metrics_urls(ctx) if not mine & {"server-metrics", "no-server-metrics"} else ()
    scrape = words("--server-metrics", *urls) if urls else ()
    return (*_without(head, mine), *_without(own, mine), *scrape, *flags.render(o.aiperf_args))


def _given(ctx: BenchmarkContext) -> set[str]:
    """The flags that the recipe gives itself, by our names for them."""
    o = cast("_Options", ctx.job.recipe.benchmark.options)
    return {FIRST.get(name, name) for name in (flags.dashed(k) for k, _ in o.aiperf_args.pairs)}


def _without(argv: Words, names: set[str]) -> Words:
    """The command without the flags that the recipe gives itself, and their values."""
    out: list[Word] = []
    dropping = False
    for item in argv:
        text = getattr(item, "text", "")
        if text.startswith("--") and len(text) > len("--"):
            dropping = text.removeprefix("--") in names
        if not dropping:
            out.append(item)
    return tuple(out)
