"""gpqa: the diamond set of graduate-level questions, asked several times (see ``clients/multiple_choice.py``)."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from srtplan.benchmarks.clients.multiple_choice import Questions, ask, check_questions
from srtplan.plugin import Benchmark, BenchmarkCommand, BenchmarkContext, Finding, Recipe, override

ADDRESS = "https://openaipublic.blob.core.windows.net/simple-evals/gpqa_diamond.csv"


@frozen(kw_only=True)
class Options(Questions):
    """``repeat`` is how often the whole set is asked; the score is the mean."""

    num_examples: int = 198
    max_tokens: int = 32768
    num_threads: int = 128


class GPQA(Benchmark[Options], name="gpqa"):
    """The GPQA benchmark."""

    @override
    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Report values out of range, and questions that must be downloaded."""
        return check_questions(recipe, ADDRESS)

    @override
    def command(self, ctx: BenchmarkContext) -> BenchmarkCommand:
        """Return one run of the evaluator."""
        return ask(ctx, self.name, ADDRESS, self.options_of(ctx.job.recipe))


PLUGIN = GPQA()
