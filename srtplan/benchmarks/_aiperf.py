"""aiperf: the runs of benchmarks that are its own (traces, prefixes), beside the ladders of ``_clients.py``.

Out: ``bench::aiperf RESULT ARTIFACTS -- aiperf profile --model ... --url http://... --streaming ...``; the library puts
aiperf's report where the result is expected. Source: ``aiperf profile --help`` (0.13.0).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, cast

from srtplan import flags
from srtplan.benchmarks._checks import inputs
from srtplan.benchmarks._facts import results
from srtplan.benchmarks._workers import metrics_urls
from srtplan.diagnostics import Finding
from srtplan.ir.data import Map
from srtplan.ir.plan import Run
from srtplan.ir.recipe import Recipe
from srtplan.ir.shell import Word, Words, words
from srtplan.plugin import BenchmarkContext, Input

PACKAGE = "aiperf==0.13.0"
"""The version that these command lines were checked with."""
DECIDED = {
    "url": "it is the job's own frontend",
    "u": "it is the job's own frontend",
    "model": "it is the served model",
    "model-names": "it is the served model",
    "m": "it is the served model",
    "artifact-dir": "results belong into the run directory",
    "output-artifact-dir": "results belong into the run directory",
    "input-file": "give the trace by its own field",
}


class _Options(Protocol):
    aiperf_package: str | None
    aiperf_args: Map


def needs_aiperf(package: str | None) -> Words:
    """The preamble that gets aiperf into the container where the image has none."""
    return words("bench::need", "aiperf", package or PACKAGE)


def check_aiperf(recipe: Recipe) -> Iterable[Finding]:
    """Arguments that are decided here; a package that may be another one tomorrow."""
    o = cast("_Options", recipe.benchmark.options)
    at = recipe.benchmark.at
    yield from flags.twice(o.aiperf_args, (*at, "aiperf_args"))
    yield from flags.decided(o.aiperf_args, (*at, "aiperf_args"), DECIDED)
    if o.aiperf_package and not pinned(o.aiperf_package):
        yield Finding(
            rule="SP706",
            path=(*at, "aiperf_package"),
            severity="warning",
            message=f"'{o.aiperf_package}' is not pinned: two runs of this recipe may use two versions",
            help=f"write a version ({PACKAGE}), a wheel, or a repository with a commit",
        )


def pinned(package: str) -> bool:
    """A wheel, a version, or a repository with a commit."""
    repository = package.partition("git+")[2]
    return package.endswith(".whl") or "==" in package or ("@" in repository.rpartition("/")[2])


def package_input(recipe: Recipe) -> tuple[Input, ...]:
    """The package, where it is a file."""
    return inputs(recipe, "aiperf_package")


def profile(
    ctx: BenchmarkContext, name: str, own: Words, *, facts: tuple[tuple[str, str], ...] = (), whole: str = ""
) -> Run:
    """One measured run; ``own`` are the arguments of its load, ``whole`` a trace that is sent to its end."""
    result = results("aiperf", f"{name}.json")
    argv = _argv(ctx, name, own, result)
    counted = (*words("bench::aiperf_trace", whole), *argv[1:]) if whole else argv
    return Run(name=name, argv=counted, result=result, client="aiperf", facts=facts)


def warmup(ctx: BenchmarkContext, name: str, own: Words) -> Run:
    """A run whose report is of no interest."""
    return Run(name=name, argv=_argv(ctx, name, own, None))


def _argv(ctx: BenchmarkContext, name: str, own: Words, result: Word | None) -> Words:
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
            42,
            "--ui",
            "simple",
            "--artifact-dir",
            artifacts,
        ),
    )
    mine = {flags.dashed(k) for k, _ in o.aiperf_args.pairs}
    urls = metrics_urls(ctx) if not mine & {"server-metrics", "no-server-metrics"} else ()
    scrape = words("--server-metrics", *urls) if urls else ()
    return (*_without(head, mine), *_without(own, mine), *scrape, *flags.render(o.aiperf_args))


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
