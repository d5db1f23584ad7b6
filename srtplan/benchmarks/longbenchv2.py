"""longbenchv2: questions over long documents, scored by SGLang's evaluator.

Out::

    python3 -m sglang.test.run_eval ... --eval-name longbench_v2 --max-context-length 128000 --num-threads 16 ...
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from srtplan.benchmarks.clients import checks, data
from srtplan.benchmarks.clients.evaluation import Evaluation, sglang
from srtplan.benchmarks.clients.facts import texts
from srtplan.plugin import Benchmark, BenchmarkCommand, BenchmarkContext, Command, Finding, Recipe, override


@frozen(kw_only=True)
class Options:
    """``num_examples`` and ``categories`` default to all.

    ``dataset_path`` is a CSV or JSON file of the questions; ``hf_home`` is a cache of the hub that contains them.
    """

    max_context_length: int = 128000
    num_threads: int = 16
    max_tokens: int = 16384
    num_examples: int | None = None
    categories: tuple[str, ...] | None = None
    dataset_path: str | None = None
    hf_home: str | None = None
    container_image: str | None = None


class LongBenchV2(Benchmark[Options], name="longbenchv2"):
    """The LongBench v2 benchmark."""

    @override
    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Report values out of range, and questions that must be downloaded."""
        yield from checks.bounds(
            recipe, {"max_context_length": 1, "num_threads": 1, "max_tokens": 1, "num_examples": 1}
        )
        yield from checks.failed_share(recipe)
        yield from checks.client_image(recipe, "sglang.test.run_eval", "sglang")
        yield from data.check(recipe, "THUDM/LongBench-v2 from the Hugging Face hub", "dataset_path")
        for n, category in enumerate(self.options_of(recipe).categories or ()):
            if "," in category:
                at = (*recipe.benchmark.at, "categories", n)
                message = "a category must not contain a comma; write one category per item"
                yield Finding(rule="SP702", path=at, message=message)

    @override
    def command(self, ctx: BenchmarkContext) -> BenchmarkCommand:
        """Return one run of the evaluator."""
        o = self.options_of(ctx.job.recipe)
        flags: dict[str, object] = {
            "max-context-length": o.max_context_length,
            "num-threads": o.num_threads,
            "max-tokens": o.max_tokens,
            "num-examples": o.num_examples,
            "categories": ",".join(o.categories or ()) or None,
            "dataset-path": o.dataset_path,
        }
        run = sglang(ctx, Evaluation(name="longbench_v2", flags=flags))
        return BenchmarkCommand(
            command=Command(
                runs=(run,), env=data.env(ctx.job.recipe), note="LongBench-v2 with SGLang's evaluator"
            ),
            parameters=texts({"client": "sglang"} | {k.replace("-", "_"): v for k, v in flags.items()}),
            image=o.container_image,
            inputs=data.inputs(ctx.job.recipe, "dataset_path"),
        )


PLUGIN = LongBenchV2()
