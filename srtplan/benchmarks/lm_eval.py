"""lm-eval: any tasks of the evaluation harness against the served model.

Out::

lm_eval --model local-chat-completions --model_args model=ds-r1,base_url=http://.../v1/chat/completions,num_concurrent=32
  --tasks gsm8k,ifeval --apply_chat_template --output_path ...
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from srtplan import flags
from srtplan.benchmarks.clients import checks, data
from srtplan.benchmarks.clients.evaluation import Harness, lm_eval
from srtplan.benchmarks.clients.facts import texts
from srtplan.benchmarks.clients.packages import LM_EVAL
from srtplan.plugin import (
    Benchmark,
    BenchmarkCommand,
    BenchmarkContext,
    Command,
    Finding,
    Map,
    Pairs,
    Recipe,
    override,
)

DECIDED = {
    "model": "it is the served model",
    "base-url": "it is the address of the job's frontend",
    "num-concurrent": "set `num_concurrent` under `benchmark:`",
}
"""Model arguments that srtplan or another field sets."""


@frozen(kw_only=True)
class Options:
    """``use_chat_template: false`` uses the completions API, for tasks that need log probabilities.

    ``include_path`` is a directory of additional task files; ``hf_home`` is a cache of the hub with the tasks' data.
    ``lm_eval_package`` is what pip installs if the image does not contain lm-eval.
    """

    tasks: tuple[str, ...] | str = ("gsm8k",)
    num_concurrent: int = 32
    num_fewshot: int | None = None
    limit: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    use_chat_template: bool = True
    model_args: Pairs = ()
    include_path: str | None = None
    hf_home: str | None = None
    lm_eval_package: str | None = None
    container_image: str | None = None


class LmEval(Benchmark[Options], name="lm-eval"):
    """The lm-eval benchmark."""

    @override
    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Report values out of range, and data sets that must be downloaded."""
        o = self.options_of(recipe)
        yield from checks.bounds(recipe, {"num_concurrent": 1, "num_fewshot": 0, "limit": 1, "max_tokens": 1})
        yield from checks.bounds(recipe, {"temperature": 0})
        yield from checks.failed_share(recipe)
        yield from _model_args(recipe, o)
        if not _tasks(o):
            yield checks.invalid(recipe, "tasks", "must name at least one task")
        yield from LM_EVAL.check(recipe)
        what = f"the data sets of {', '.join(_tasks(o))} from the Hugging Face hub"
        yield from data.check(recipe, what, "include_path")

    @override
    def command(self, ctx: BenchmarkContext) -> BenchmarkCommand:
        """Return one run of the harness for all tasks."""
        recipe = ctx.job.recipe
        o = self.options_of(recipe)
        args = dict(o.model_args)
        if not o.use_chat_template:
            args = {"tokenizer": ctx.job.model} | args
        harness = Harness(
            name="lm-eval",
            tasks=_tasks(o),
            concurrency=o.num_concurrent,
            generation={"max_gen_toks": o.max_tokens, "temperature": o.temperature},
            flags={"num_fewshot": o.num_fewshot, "limit": o.limit, "include_path": o.include_path},
            model_args=args,
            chat=o.use_chat_template,
        )
        values = {
            "client": "lm-eval",
            "tasks": ",".join(_tasks(o)),
            "num_fewshot": o.num_fewshot,
            "limit": o.limit,
            "max_tokens": o.max_tokens,
            "temperature": o.temperature,
            "use_chat_template": o.use_chat_template,
            "num_concurrent": o.num_concurrent,
            "model_args": Map(o.model_args),
            "include_path": o.include_path,
        }
        return BenchmarkCommand(
            command=Command(
                runs=(lm_eval(ctx, harness),),
                env=data.env(recipe),
                preamble=(LM_EVAL.needed(recipe),),
                note="lm-eval",
            ),
            parameters=texts(values),
            image=o.container_image,
            inputs=(*data.inputs(recipe, "include_path"), *LM_EVAL.inputs(recipe)),
        )


def _model_args(recipe: Recipe, o: Options) -> Iterable[Finding]:
    """Report arguments that srtplan sets, and arguments that lm-eval would split at ',' or '='."""
    at = (*recipe.benchmark.at, "model_args")
    yield from flags.check_planned(Map(o.model_args), at, DECIDED)
    for key, value in o.model_args:
        if "," in key + value or "=" in key:
            message = f"'{key}={value}' is not a single argument: lm-eval splits its arguments at ',' and '='"
            yield Finding(rule="SP702", path=(*at, key), message=message)


def _tasks(o: Options) -> tuple[str, ...]:
    tasks = o.tasks.split(",") if isinstance(o.tasks, str) else o.tasks
    return tuple(t.strip() for t in tasks if t.strip())


PLUGIN = LmEval()
