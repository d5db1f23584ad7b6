"""mmlu: multiple-choice questions over 57 subjects (see ``clients/multiple_choice.py``)."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from srtplan.benchmarks.clients.multiple_choice import Questions, ask, check_questions
from srtplan.plugin import Benchmark, BenchmarkCommand, BenchmarkContext, Finding, Recipe, override

ADDRESS = "https://openaipublic.blob.core.windows.net/simple-evals/mmlu.csv"


@frozen(kw_only=True)
class Options(Questions):
    """``repeat`` is how often the whole set is asked; the score is the mean."""

    num_examples: int = 200
    max_tokens: int = 2048
    num_threads: int = 512


class MMLU(Benchmark[Options], name="mmlu"):
    """The MMLU benchmark."""

    @override
    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Report values out of range, and questions that must be downloaded."""
        return check_questions(recipe, ADDRESS)

    @override
    def command(self, ctx: BenchmarkContext) -> BenchmarkCommand:
        """Return one run of the evaluator."""
        return ask(ctx, self.name, ADDRESS, self.options_of(ctx.job.recipe))


PLUGIN = MMLU()
