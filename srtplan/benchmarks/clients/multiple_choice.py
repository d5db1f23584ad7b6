"""Multiple-choice questions (mmlu, gpqa), scored by SGLang's evaluator.

In: the name of a set of questions, the address that the evaluator downloads it from, and its options. Out::

    python3 -m sglang.test.run_eval --base-url http://... --model ds-r1 --eval-name gpqa --num-examples 198 --repeat 8 ...
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from srtplan.benchmarks.clients import checks, data
from srtplan.benchmarks.clients.evaluation import Evaluation, sglang
from srtplan.benchmarks.clients.facts import texts
from srtplan.plugin import BenchmarkCommand, BenchmarkContext, Command, Finding, Recipe

FIELDS = ("num_examples", "max_tokens", "repeat", "num_threads")


@frozen(kw_only=True)
class Questions:
    """``repeat`` is how often the whole set is asked; the score is the mean."""

    num_examples: int
    max_tokens: int
    repeat: int = 8
    num_threads: int
    dataset_path: str | None = None
    container_image: str | None = None


def check_questions(recipe: Recipe, address: str) -> Iterable[Finding]:
    """Report values out of range, and questions that must be downloaded."""
    yield from checks.bounds(recipe, dict.fromkeys(FIELDS, 1))
    yield from checks.failed_share(recipe)
    yield from checks.client_image(recipe, "sglang.test.run_eval", "sglang")
    yield from data.check(recipe, address, "dataset_path")


def ask(ctx: BenchmarkContext, name: str, address: str, options: Questions) -> BenchmarkCommand:
    """Return one run of the evaluator."""
    values: dict[str, object] = {field: getattr(options, field) for field in FIELDS}
    run = sglang(
        ctx,
        Evaluation(
            name=name,
            flags={k.replace("_", "-"): v for k, v in values.items()},
            copy=(address, options.dataset_path) if options.dataset_path else None,
        ),
    )
    return BenchmarkCommand(
        command=Command(runs=(run,), note=f"{name} with SGLang's evaluator"),
        parameters=texts({"client": "sglang"} | values | {"dataset_path": options.dataset_path}),
        image=options.container_image,
        inputs=data.inputs(ctx.job.recipe, "dataset_path"),
    )
