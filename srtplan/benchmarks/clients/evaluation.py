"""Accuracy evaluations with SGLang's evaluator and lm-eval.

In: the name of the evaluation and its settings. Out: one run whose report is written below ``RUN_DIR/results/accuracy``::

    bench::evaluate RESULT /tmp/gpqa_ds-r1 -- python3 -m sglang.test.run_eval --base-url http://... --model ds-r1 ...
    bench::lm_eval RESULT FOLDER -- lm_eval --model local-chat-completions --tasks gsm8k ...

The evaluator writes its report to /tmp, under a name derived from evaluation and model. The runtime library accepts it only
if this run wrote it. Sources: ``sglang.test.run_eval --help`` (0.5.7 to 0.5.13), ``lm_eval --help`` (0.4.13).
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from srtplan.benchmarks.clients.facts import results
from srtplan.plugin import BenchmarkContext, Run, StandIn, Words, word, words

SGLANG, LM_EVAL = "sglang-eval", "lm-eval"


@frozen(kw_only=True)
class Evaluation:
    """An evaluation. ``flags`` are the evaluator's flags without leading dashes; None omits a flag.

    ``copy`` is an address and the file to read instead, for an evaluator without a flag for that.
    """

    name: str
    flags: Mapping[str, object]
    copy: tuple[str, str] | None = None


def sglang(ctx: BenchmarkContext, evaluation: Evaluation) -> Run:
    """Return the run of SGLang's evaluator."""
    name, model = evaluation.name, ctx.job.served_model_name
    result = results("accuracy", f"{name}.json")
    report = f"/tmp/{name}_{model.replace('/', '_')}"  # noqa: S108 -- the evaluator always writes here
    how = ("bench::evaluate_copy", *evaluation.copy) if evaluation.copy else ("bench::evaluate",)
    argv = words(
        *(*how, result, report, "--", "python3", "-m", "sglang.test.run_eval"),
        *("--base-url", ctx.url, "--model", model, "--eval-name", name),
        *_flags(evaluation.flags, dash="-"),
    )
    return Run(
        name=name,
        argv=argv,
        result=result,
        client=SGLANG,
        facts=(("evaluation", name),),
        stand_in=StandIn(behavior="run_eval"),
    )


@frozen(kw_only=True)
class Harness:
    """Tasks for lm-eval. ``generation`` holds sampling settings, ``flags`` other options of the program."""

    name: str
    tasks: tuple[str, ...]
    concurrency: int
    generation: Mapping[str, object]
    flags: Mapping[str, object]
    model_args: Mapping[str, str]
    chat: bool = True


def lm_eval(ctx: BenchmarkContext, harness: Harness) -> Run:
    """Return the run of lm-eval against the chat or completions API."""
    result = results("accuracy", f"{harness.name}.json")
    folder = results("accuracy", f"{harness.name}.d")
    path = "/v1/chat/completions" if harness.chat else "/v1/completions"
    own = {"num_concurrent": str(harness.concurrency), "max_retries": "3", "tokenized_requests": "False"}
    args = word(
        f"model={ctx.job.served_model_name},base_url=",
        ctx.url,
        path,
        *(f",{k}={v}" for k, v in (own | dict(harness.model_args)).items()),
    )
    sampling = ",".join(f"{k}={v}" for k, v in harness.generation.items() if v is not None)
    argv = words(
        *("bench::lm_eval", result, folder, "--", "lm_eval"),
        *("--model", "local-chat-completions" if harness.chat else "local-completions"),
        *("--model_args", args, "--tasks", ",".join(harness.tasks), "--batch_size", 1),
        *(("--apply_chat_template",) if harness.chat else ()),
        *(("--gen_kwargs", sampling) if sampling else ()),
        *_flags(harness.flags, dash="_"),
        *("--output_path", folder),
    )
    return Run(
        name=harness.name,
        argv=argv,
        result=result,
        client=LM_EVAL,
        facts=(("evaluation", harness.name),),
        stand_in=StandIn(behavior="lm_eval"),
    )


def _flags(values: Mapping[str, object], *, dash: str) -> Words:
    """Return ``--name value`` for each value that is set; True becomes a bare flag."""
    out: list[str] = []
    for name, value in values.items():
        if value is None or value is False:
            continue
        out.append("--" + name.replace("_", dash))
        out += [] if value is True else [str(value)]
    return words(*out)
