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
    """No ``num_examples`` and no ``categories`` means all.

    ``dataset_path`` is a CSV or JSON file of the questions, ``hf_home`` a cache of the hub that has them.
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
    """The benchmark plugin."""

    @override
    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Ranges, and where the questions come from."""
        yield from checks.least(
            recipe, {"max_context_length": 1, "num_threads": 1, "max_tokens": 1, "num_examples": 1}
        )
        yield from checks.unbounded(recipe)
        yield from checks.image(recipe, "sglang.test.run_eval", "sglang")
        yield from data.check(recipe, "THUDM/LongBench-v2 from the Hugging Face hub", "dataset_path")
        for n, category in enumerate(self.options_of(recipe).categories or ()):
            if "," in category:
                at = (*recipe.benchmark.at, "categories", n)
                yield Finding(rule="SP702", path=at, message="one category per item, without commas")

    @override
    def command(self, ctx: BenchmarkContext) -> BenchmarkCommand:
        """One run of the evaluator."""
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
