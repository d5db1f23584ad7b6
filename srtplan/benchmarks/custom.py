"""custom: a command of the recipe's own, run by ``bash -lc`` as it stands.

It finds the service in ``SRT_FRONTEND_URL`` (and ``_HOST``, ``_PORT``), the workers in ``SRT_PREFILL_ENDPOINTS`` and the
like, and leaves its results below ``SRT_RESULTS_DIR``. ``result`` names the file there that must exist afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Literal

from attrs import frozen

from srtplan.benchmarks.clients import checks
from srtplan.benchmarks.clients.facts import results, texts
from srtplan.benchmarks.clients.workers import metrics_env, workers_env
from srtplan.plugin import (
    Benchmark,
    BenchmarkCommand,
    BenchmarkContext,
    Command,
    EnvVar,
    Finding,
    Lit,
    Map,
    Pairs,
    Recipe,
    Run,
    StandIn,
    override,
    words,
)


@frozen(kw_only=True)
class Options:
    """``result_format`` says whose report ``result`` is, so that its figures are read and checked."""

    command: str | None = None
    container_image: str | None = None
    env: Pairs = ()
    result: str | None = None
    result_format: Literal["sglang", "vllm", "trtllm", "aiperf", "sglang-eval", "lm-eval"] | None = None


class Custom(Benchmark[Options], name="custom"):
    """The benchmark plugin."""

    @override
    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """A command; a result inside the results."""
        o = self.options_of(recipe)
        yield from checks.missing(recipe, "command")
        if o.result and not _is_free(o.result):
            says = (
                "must be a file below the results, such as 'bench.json', and none that the job writes itself"
            )
            yield checks.bad(recipe, "result", says)
        if o.result_format and not o.result:
            yield checks.bad(recipe, "result_format", "needs 'result', the file it is about")
        if not o.result_format or o.result_format.endswith("-eval"):
            yield from checks.unbounded(recipe)

    @override
    def command(self, ctx: BenchmarkContext) -> BenchmarkCommand:
        """One run."""
        o = self.options_of(ctx.job.recipe)
        own = (
            EnvVar(name="SRT_RESULTS_DIR", value=results("")),
            EnvVar(name="AIPERF_ARTIFACT_DIR", value=results("artifacts")),
        )
        run = Run(
            name="custom",
            argv=words("bash", "-lc", o.command or ""),
            result=results(o.result) if o.result else None,
            client=o.result_format or "",
            stand_in=StandIn(behavior="real"),
        )
        given = tuple(EnvVar(name=k, value=Lit(v)) for k, v in o.env)
        return BenchmarkCommand(
            command=Command(
                runs=(run,),
                env=(*own, *workers_env(ctx), *metrics_env(ctx), *given),
                note="the recipe's own command",
            ),
            parameters=texts(
                {
                    "command": o.command,
                    "env": Map(tuple((name, _digest(value)) for name, value in o.env)),
                    "result": o.result,
                    "result_format": o.result_format,
                }
            ),
            image=o.container_image,
        )


def _digest(value: str) -> str:
    """Tells values apart without showing them: parameters stand in pages and pictures that are passed around."""
    return sha256(value.encode()).hexdigest()[:12]


def _is_free(path: str) -> bool:
    """Whether a path is one of a file inside the results that the library does not write."""
    parts = [p for p in path.split("/") if p not in ("", ".")]
    if path.startswith("/") or path.endswith(("/", "/.")) or ".." in parts or not parts:
        return False
    return parts[0] not in (".runs", "summary.json", "summary.json.new")


PLUGIN = Custom()
