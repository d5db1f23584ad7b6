"""gsm8k: grade-school mathematics, few-shot, scored by SGLang's evaluator or by lm-eval.

SGLang's images contain its evaluator; other engines use lm-eval. Out, with ``num_shots: 8``::

    python3 -m sglang.test.run_eval --base-url http://... --model ds-r1 --eval-name gsm8k --num-shots 8 ...
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from attrs import frozen

from srtplan.benchmarks.clients import checks, data
from srtplan.benchmarks.clients.evaluation import Evaluation, Harness, lm_eval, sglang
from srtplan.benchmarks.clients.facts import texts
from srtplan.benchmarks.clients.packages import LM_EVAL
from srtplan.plugin import (
    Benchmark,
    BenchmarkCommand,
    BenchmarkContext,
    Command,
    Finding,
    Recipe,
    Run,
    engine,
    override,
)

QUESTIONS = (
    "https://raw.githubusercontent.com/openai/grade-school-math/master/grade_school_math/data/test.jsonl"
)
"""The file that SGLang's evaluator downloads."""
MAX_TOKENS = {"sglang": 16384, "lm-eval": 256}


@frozen(kw_only=True)
class Options:
    """``client: auto`` selects sglang with the sglang engine, else lm-eval.

    ``dataset_path`` is the test set as JSON lines, for sglang; ``hf_home`` is a cache of the hub, for lm-eval.
    """

    num_examples: int = 1319
    max_tokens: int | None = None
    num_threads: int = 512
    num_shots: int = 5
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    dataset_path: str | None = None
    hf_home: str | None = None
    client: Literal["auto", "sglang", "lm-eval"] = "auto"
    lm_eval_package: str | None = None
    container_image: str | None = None


class GSM8K(Benchmark[Options], name="gsm8k"):
    """The GSM8K benchmark."""

    @override
    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Report values out of range, and questions that must be downloaded."""
        o = self.options_of(recipe)
        bounds = {"num_examples": 1, "max_tokens": 1, "num_threads": 1, "num_shots": 0}
        yield from checks.bounds(recipe, bounds | {"temperature": 0, "top_p": 0, "top_k": -1})
        if o.top_p is not None and o.top_p > 1:
            yield checks.invalid(recipe, "top_p", "must be between 0 and 1")
        yield from checks.failed_share(recipe)
        native = _client(recipe, o) == "sglang"
        yield from LM_EVAL.check(recipe, used=not native)
        if native:
            yield from checks.client_image(recipe, "sglang.test.run_eval", "sglang")
            yield from checks.absolute_paths(recipe, "dataset_path")
            if not o.dataset_path:
                yield checks.download(recipe, QUESTIONS, "dataset_path")
            if o.hf_home:
                yield checks.without_effect(
                    recipe, "hf_home", "SGLang's evaluator reads a file; set `dataset_path` instead"
                )
        elif o.dataset_path:
            yield checks.invalid(
                recipe, "dataset_path", "is not supported by lm-eval, which loads its own data set"
            )
        else:
            yield from data.check(recipe, "the data set of gsm8k from the Hugging Face hub")

    @override
    def command(self, ctx: BenchmarkContext) -> BenchmarkCommand:
        """Return one run of the evaluator."""
        recipe = ctx.job.recipe
        o = self.options_of(recipe)
        client = _client(recipe, o)
        tokens = o.max_tokens or MAX_TOKENS[client]
        native = client == "sglang"
        run = _sglang(ctx, o, tokens) if native else _harness(ctx, o, tokens)
        preamble = () if native else (LM_EVAL.needed(recipe),)
        values = {
            "client": client,
            "num_examples": o.num_examples,
            "max_tokens": tokens,
            "num_threads": o.num_threads,
            "num_shots": o.num_shots,
            "temperature": o.temperature,
            "top_p": o.top_p,
            "top_k": o.top_k,
            "dataset_path": o.dataset_path,
        }
        inputs = () if native else (*data.inputs(recipe), *LM_EVAL.inputs(recipe))
        return BenchmarkCommand(
            command=Command(
                runs=(run,),
                env=() if native else data.env(recipe),
                preamble=preamble,
                note=f"gsm8k with {client}",
            ),
            parameters=texts(values),
            image=o.container_image,
            inputs=(*checks.inputs(recipe, "dataset_path"), *inputs),
        )


def _client(recipe: Recipe, o: Options) -> str:
    native = engine(recipe.engine.type).client == "sglang" or o.dataset_path
    return ("sglang" if native else "lm-eval") if o.client == "auto" else o.client


def _sglang(ctx: BenchmarkContext, o: Options, tokens: int) -> Run:
    flags = {
        "num-examples": o.num_examples,
        "max-tokens": tokens,
        "num-threads": o.num_threads,
        "num-shots": o.num_shots,
        "temperature": o.temperature,
        "top-p": o.top_p,
        "top-k": o.top_k,
        "gsm8k-data-path": o.dataset_path,
    }
    return sglang(ctx, Evaluation(name="gsm8k", flags=flags))


def _harness(ctx: BenchmarkContext, o: Options, tokens: int) -> Run:
    sampling = {"max_gen_toks": tokens, "temperature": o.temperature, "top_p": o.top_p, "top_k": o.top_k}
    harness = Harness(
        name="gsm8k",
        tasks=("gsm8k",),
        concurrency=o.num_threads,
        generation=sampling,
        flags={"num_fewshot": o.num_shots, "limit": o.num_examples},
        model_args={},
    )
    return lm_eval(ctx, harness)


PLUGIN = GSM8K()
