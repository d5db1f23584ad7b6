"""mmlu and gpqa: multiple-choice questions, scored by SGLang's evaluator.

Both are this class with other defaults. Out::

    python3 -m sglang.test.run_eval --base-url http://... --model ds-r1 --eval-name gpqa --num-examples 198 --repeat 8 ...
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, cast

from attrs import frozen

from srtplan.benchmarks import _checks, _data
from srtplan.benchmarks._evaluation import Evaluation, sglang
from srtplan.benchmarks._facts import texts
from srtplan.diagnostics import Finding
from srtplan.ir.recipe import Recipe
from srtplan.plugin import BenchmarkCommand, BenchmarkContext, Command

FIELDS = ("num_examples", "max_tokens", "repeat", "num_threads")


class _Options(Protocol):
    num_examples: int
    max_tokens: int
    repeat: int
    num_threads: int
    dataset_path: str | None
    container_image: str | None


@frozen(eq=False, repr=False)
class MultipleChoice:
    """The benchmark plugin of one set of questions; ``address`` is the file that the evaluator downloads."""

    name: str
    options: type[object]
    address: str

    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Ranges, and where the questions come from."""
        yield from _checks.least(recipe, dict.fromkeys(FIELDS, 1))
        yield from _checks.unbounded(recipe)
        yield from _checks.image(recipe, "sglang.test.run_eval", "sglang")
        yield from _data.check(recipe, self.address, "dataset_path")

    def command(self, ctx: BenchmarkContext) -> BenchmarkCommand:
        """One run of the evaluator."""
        o = cast("_Options", ctx.job.recipe.benchmark.options)
        values: dict[str, object] = {name: getattr(o, name) for name in FIELDS}
        run = sglang(
            ctx,
            Evaluation(
                name=self.name,
                flags={k.replace("_", "-"): v for k, v in values.items()},
                copy=(self.address, o.dataset_path) if o.dataset_path else None,
            ),
        )
        return BenchmarkCommand(
            command=Command(runs=(run,), note=f"{self.name} with SGLang's evaluator"),
            parameters=texts({"client": "sglang"} | values | {"dataset_path": o.dataset_path}),
            image=o.container_image,
            inputs=_data.inputs(ctx.job.recipe, "dataset_path"),
        )
