"""custom: a command from the recipe, run verbatim by ``bash -lc``.

The command reads the service's address from ``SRT_FRONTEND_URL`` (and ``_HOST``, ``_PORT``), and the workers' addresses from
``SRT_PREFILL_ENDPOINTS`` and similar variables. It writes results to ``SRT_RESULTS_DIR``; ``result`` names a file there that
must exist afterwards.
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
    """``result_format`` is the client whose report format ``result`` has; its figures are then read and checked."""

    command: str | None = None
    container_image: str | None = None
    env: Pairs = ()
    result: str | None = None
    result_format: Literal["sglang", "vllm", "trtllm", "aiperf", "sglang-eval", "lm-eval"] | None = None


class Custom(Benchmark[Options], name="custom"):
    """The custom benchmark."""

    @override
    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Report a missing command, and a result outside the results directory."""
        o = self.options_of(recipe)
        yield from checks.required(recipe, "command")
        if o.result and not _is_allowed_result(o.result):
            problem = "must be a path inside the results directory, such as 'bench.json', that the job itself does not write"
            yield checks.invalid(recipe, "result", problem)
        if o.result_format and not o.result:
            yield checks.invalid(recipe, "result_format", "requires 'result', the file to read")
        if not o.result_format or o.result_format.endswith("-eval"):
            yield from checks.failed_share(recipe)

    @override
    def command(self, ctx: BenchmarkContext) -> BenchmarkCommand:
        """Return one run."""
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
        from_recipe = tuple(EnvVar(name=k, value=Lit(v)) for k, v in o.env)
        return BenchmarkCommand(
            command=Command(
                runs=(run,),
                env=(*own, *workers_env(ctx), *metrics_env(ctx), *from_recipe),
                note="custom command",
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
    """Return a digest that distinguishes values without showing them: reports with parameters are shared."""
    return sha256(value.encode()).hexdigest()[:12]


def _is_allowed_result(path: str) -> bool:
    """Return whether a path is a file in the results directory that the library does not write."""
    parts = [p for p in path.split("/") if p not in ("", ".")]
    if path.startswith("/") or path.endswith(("/", "/.")) or ".." in parts or not parts:
        return False
    return parts[0] not in (".runs", "summary.json", "summary.json.new")


PLUGIN = Custom()
