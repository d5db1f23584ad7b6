"""longbenchv2: questions over long documents, scored by SGLang's evaluator.

Out::

    python3 -m sglang.test.run_eval ... --eval-name longbench_v2 --max-context-length 128000 --num-threads 16 ...
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from srtplan.benchmarks import _checks, _data
from srtplan.benchmarks._evaluation import Evaluation, sglang
from srtplan.benchmarks._facts import texts
from srtplan.diagnostics import Finding
from srtplan.ir.recipe import Recipe
from srtplan.plugin import BenchmarkCommand, BenchmarkContext, Command


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


@frozen(eq=False, repr=False)
class LongBenchV2:
    """The benchmark plugin."""

    name: str = "longbenchv2"
    options: type[object] = Options

    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Ranges, and where the questions come from."""
        yield from _checks.least(
            recipe, {"max_context_length": 1, "num_threads": 1, "max_tokens": 1, "num_examples": 1}
        )
        yield from _checks.unbounded(recipe)
        yield from _checks.image(recipe, "sglang.test.run_eval", "sglang")
        yield from _data.check(recipe, "THUDM/LongBench-v2 from the Hugging Face hub", "dataset_path")
        for n, category in enumerate(_options(recipe).categories or ()):
            if "," in category:
                at = (*recipe.benchmark.at, "categories", n)
                yield Finding(rule="SP702", path=at, message="one category per item, without commas")

    def command(self, ctx: BenchmarkContext) -> BenchmarkCommand:
        """One run of the evaluator."""
        o = _options(ctx.job.recipe)
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
                runs=(run,), env=_data.env(ctx.job.recipe), note="LongBench-v2 with SGLang's evaluator"
            ),
            parameters=texts({"client": "sglang"} | {k.replace("-", "_"): v for k, v in flags.items()}),
            image=o.container_image,
            inputs=_data.inputs(ctx.job.recipe, "dataset_path"),
        )


def _options(recipe: Recipe) -> Options:
    options = recipe.benchmark.options
    assert isinstance(options, Options)  # noqa: S101 -- structured into this class by config
    return options


PLUGIN = LongBenchV2()
