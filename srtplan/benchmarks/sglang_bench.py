"""sglang-bench: SGLang's own load generator at a series of concurrencies, with no warm-up except its own."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from srtplan.benchmarks.clients import checks
from srtplan.benchmarks.clients.facts import results, texts
from srtplan.benchmarks.clients.serving import Load, sglang
from srtplan.plugin import (
    Benchmark,
    BenchmarkCommand,
    BenchmarkContext,
    Command,
    Finding,
    Recipe,
    Run,
    StandIn,
    override,
    words,
)


@frozen(kw_only=True)
class Options:
    """``random_range_ratio: 1`` makes every request exactly ``isl`` and ``osl`` tokens long."""

    isl: int | None = None
    osl: int | None = None
    concurrencies: tuple[int | str, ...] | str | None = None
    req_rate: int | float | str = "inf"
    random_range_ratio: float = 1.0
    num_prompts_mult: int = 10
    use_chat_template: bool = False
    container_image: str | None = None


class SGLangBench(Benchmark[Options], name="sglang-bench"):
    """The sglang-bench benchmark."""

    @override
    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Report missing fields and values out of range."""
        o = self.options_of(recipe)
        yield from checks.required(recipe, "isl", "osl", "concurrencies")
        yield from checks.concurrencies(recipe, o.concurrencies)
        yield from checks.bounds(recipe, {"isl": 1, "osl": 1, "num_prompts_mult": 1})
        yield from checks.request_rate(recipe, o.req_rate)
        if not 0 < o.random_range_ratio <= 1:
            yield checks.invalid(recipe, "random_range_ratio", "must be greater than 0 and at most 1")
        yield from checks.client_image(recipe, "sglang.bench_serving", "sglang")

    @override
    def command(self, ctx: BenchmarkContext) -> BenchmarkCommand:
        """Return one run per concurrency."""
        o = self.options_of(ctx.job.recipe)
        rungs = checks.rungs(o.concurrencies) or ()
        values = {
            "client": "sglang",
            "isl": o.isl,
            "osl": o.osl,
            "concurrencies": "x".join(map(str, rungs)),
            "request_rate": checks.rate(o.req_rate),
            "random_range_ratio": o.random_range_ratio,
            "num_prompts_mult": o.num_prompts_mult,
            "use_chat_template": o.use_chat_template,
        }
        return BenchmarkCommand(
            command=Command(
                runs=tuple(_run(ctx, o, c) for c in dict.fromkeys(rungs)),
                preamble=(words("setup::open_files", 65536),),
                note="SGLang's load generator",
            ),
            parameters=texts(values),
            image=o.container_image,
        )


def _run(ctx: BenchmarkContext, o: Options, c: int) -> Run:
    result = results(f"sglang-bench_isl_{o.isl}_osl_{o.osl}", f"concurrency_{c}.jsonl")
    load = Load(
        url=ctx.url,
        model=ctx.job.served_model_name,
        tokenizer=ctx.job.model,
        concurrency=c,
        prompts=o.num_prompts_mult * c,
        isl=o.isl,
        osl=o.osl,
        ratio=o.random_range_ratio,
        rate=checks.rate(o.req_rate) or "inf",
        chat_template=o.use_chat_template,
        reuse_connections=False,
        dataset_path=None,
        result=result,
        artifacts=results("artifacts"),
    )
    facts = (("concurrency", str(c)), ("request_rate", load.rate), ("requests", str(load.prompts)))
    return Run(
        name=f"concurrency_{c}",
        argv=sglang(load),
        result=result,
        client="sglang",
        facts=facts,
        stand_in=StandIn(behavior="bench_sglang"),
    )


PLUGIN = SGLangBench()
