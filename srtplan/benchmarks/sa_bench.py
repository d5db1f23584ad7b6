"""sa-bench: the engine's own load generator measures throughput and latency at a series of concurrencies.

Each concurrency C has two runs in the job's container: a warm-up of ``num_warmup_mult * C`` prompts at 250 requests per
second, then ``num_prompts_mult * C`` prompts at ``req_rate``. Each measured run writes one file below ``RUN_DIR/results``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import attrs
from attrs import frozen

from srtplan.benchmarks.clients import checks
from srtplan.benchmarks.clients.facts import gpus_by_mode, results, texts
from srtplan.benchmarks.clients.packages import AIPERF
from srtplan.benchmarks.clients.serving import CLIENTS, PROGRAMS, STAND_INS, Load, uses_chat_template
from srtplan.benchmarks.clients.workers import endpoints
from srtplan.plugin import (
    Benchmark,
    BenchmarkCommand,
    BenchmarkContext,
    Command,
    Finding,
    Recipe,
    Run,
    Word,
    Words,
    engine,
    interface,
    override,
    words,
)

WARMUP_RATE = "250"
LEAST_OUTPUT = 4


@frozen(kw_only=True)
class Options:
    """``concurrencies`` is a list or ``"4x8x16"``; ``req_rate`` is requests per second or ``inf``.

    ``use_chat_template`` and ``reuse_http_connections`` default to the client's own behavior: the engines' clients
    send random prompts without a template, aiperf sends uses_chat_template ones. ``slow_down_sleep_time`` makes
    SGLang's decode workers sleep that many seconds per step for the first ``slow_down_wait_time`` seconds of a
    measured run, which gives a few prefill workers time to fill the decode batches.
    """

    isl: int | None = None
    osl: int | None = None
    concurrencies: tuple[int | str, ...] | str | None = None
    req_rate: int | float | str = "inf"
    random_range_ratio: float = 0.8
    num_prompts_mult: int = 10
    num_warmup_mult: int = 2
    dataset_name: Literal["random", "custom"] = "random"
    dataset_path: str | None = None
    custom_tokenizer: str | None = None
    use_chat_template: bool | None = None
    reuse_http_connections: bool | None = None
    client: Literal["auto", "sglang", "vllm", "trtllm", "aiperf"] = "auto"
    aiperf_package: str | None = None
    container_image: str | None = None
    slow_down_sleep_time: float | None = None
    slow_down_wait_time: float | None = None


class SaBench(Benchmark[Options], name="sa-bench"):
    """The sa-bench benchmark."""

    @override
    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Report missing fields, values out of range, and options that have no effect."""
        o = self.options_of(recipe)
        custom = o.dataset_name == "custom"
        yield from checks.required(
            recipe, *(("dataset_path",) if custom else ("isl", "osl")), "concurrencies"
        )
        yield from checks.concurrencies(recipe, o.concurrencies)
        yield from checks.bounds(recipe, {"isl": 1, "osl": 1, "num_prompts_mult": 1, "num_warmup_mult": 0})
        yield from checks.request_rate(recipe, o.req_rate)
        yield from checks.absolute_paths(recipe, "dataset_path")
        if not 0 < o.random_range_ratio <= 1:
            yield checks.invalid(recipe, "random_range_ratio", "must be greater than 0 and at most 1")
        yield from _check_slow_down(recipe, o)
        yield from _check_client(recipe, o)
        if o.custom_tokenizer and "/" not in o.custom_tokenizer:
            yield Finding(
                rule="SP703",
                path=(*recipe.benchmark.at, "custom_tokenizer"),
                severity="warning",
                message="a tokenizer class works only with srtctl's own client; the model's tokenizer is used instead",
                help="write a directory or a Hugging Face id, or remove `custom_tokenizer`",
            )

    @override
    def command(self, ctx: BenchmarkContext) -> BenchmarkCommand:
        """Return the runs of all concurrencies, and the parameters under srtctl's names."""
        recipe = ctx.job.recipe
        o = self.options_of(recipe)
        client = _client(recipe, o)
        runs = tuple(
            r for c in dict.fromkeys(checks.rungs(o.concurrencies) or ()) for r in _pair(ctx, o, client, c)
        )
        by_aiperf = client == "aiperf"
        install, package = ((AIPERF.needed(recipe),), AIPERF.inputs(recipe)) if by_aiperf else ((), ())
        return BenchmarkCommand(
            command=Command(
                runs=runs,
                preamble=(words("setup::open_files", 65536), *install),
                note=f"sa-bench with the {client} client",
            ),
            parameters=_parameters(ctx, o, client),
            image=o.container_image,
            inputs=(*checks.inputs(recipe, "dataset_path", "custom_tokenizer"), *package),
        )


def _client(recipe: Recipe, o: Options) -> str:
    return engine(recipe.engine.type).client if o.client == "auto" else o.client


def _check_client(recipe: Recipe, o: Options) -> Iterable[Finding]:
    """Report a client that the image does not contain, and options that the client ignores."""
    client, rows = _client(recipe, o), o.dataset_name == "custom"
    if client in PROGRAMS:
        yield from checks.client_image(recipe, PROGRAMS[client], client, at="client")
    yield from AIPERF.check(recipe, used=client == "aiperf")
    if rows and o.isl is not None:
        yield checks.without_effect(recipe, "isl", "the data set determines the prompt lengths")
    if rows and o.random_range_ratio != attrs.fields(Options).random_range_ratio.default:
        yield checks.without_effect(
            recipe, "random_range_ratio", "the data set determines the prompt lengths"
        )
    if not rows and o.dataset_path:
        yield checks.without_effect(recipe, "dataset_path", "dataset_name is random")
    if rows and o.osl is not None:
        yield from _check_output_length(recipe, client, o.osl)
    if rows and client == "trtllm" and o.use_chat_template:
        yield checks.without_effect(
            recipe, "use_chat_template", "TensorRT-LLM's client sends the rows of a data set unchanged"
        )
    if o.reuse_http_connections and client in ("sglang", "trtllm"):
        yield checks.without_effect(
            recipe, "reuse_http_connections", f"{PROGRAMS[client]} opens one connection per request"
        )
    if o.reuse_http_connections is False and client == "vllm":
        yield checks.without_effect(
            recipe, "reuse_http_connections", f"{PROGRAMS[client]} always reuses connections"
        )


def _check_output_length(recipe: Recipe, client: str, osl: int) -> Iterable[Finding]:
    """Report an output length that the client cannot use with a data set."""
    if client == "trtllm":
        yield checks.without_effect(
            recipe, "osl", "TensorRT-LLM's client reads the output lengths from the data set"
        )
    if client == "sglang" and osl < LEAST_OUTPUT:
        problem = f"must be at least {LEAST_OUTPUT} with a data set, the minimum of SGLang's client"
        yield checks.invalid(recipe, "osl", problem)


def _pair(ctx: BenchmarkContext, o: Options, client: str, c: int) -> Iterable[Run]:
    result = results(_folder(o), _file(ctx, c))
    if o.num_warmup_mult:
        load = _load(ctx, o, c, prompts=o.num_warmup_mult * c, rate=WARMUP_RATE, result=None)
        yield Run(name=f"warmup_{c}", argv=CLIENTS[client](load), stand_in=STAND_INS[client])
    load = _load(
        ctx, o, c, prompts=o.num_prompts_mult * c, rate=checks.rate(o.req_rate) or "inf", result=result
    )
    facts = (("concurrency", str(c)), ("request_rate", load.rate), ("requests", str(load.prompts)))
    rows = (("dataset", load.dataset_path),) if load.dataset_path else ()
    argv = (*_slow_down_prefix(ctx, o), *CLIENTS[client](load))
    yield Run(
        name=f"concurrency_{c}",
        argv=argv,
        result=result,
        client=client,
        facts=(*facts, *rows),
        stand_in=STAND_INS[client],
    )


def _check_slow_down(recipe: Recipe, o: Options) -> Iterable[Finding]:
    """Report one time without the other, and jobs whose decode workers cannot be slowed down."""
    fields = [n for n in ("slow_down_sleep_time", "slow_down_wait_time") if getattr(o, n) is not None]
    for name in fields:
        if getattr(o, name) <= 0:
            yield checks.invalid(recipe, name, "must be greater than 0")
    if len(fields) == 1:
        (other,) = {"slow_down_sleep_time", "slow_down_wait_time"} - set(fields)
        yield checks.invalid(recipe, fields[0], f"requires '{other}'")
    if fields and (interface(recipe) != "sglang_http" or not recipe.resources.disaggregated):
        yield Finding(
            rule="SP708",
            path=(*recipe.benchmark.at, fields[0]),
            message="only SGLang decode workers behind the SGLang router can be slowed down",
            help="set `frontend.type: sglang` with prefill and decode workers, or remove the key",
        )


def _slow_down_prefix(ctx: BenchmarkContext, o: Options) -> Words:
    """Return the words before the command of a measured run that slows decode workers down."""
    if o.slow_down_sleep_time is None or o.slow_down_wait_time is None:
        return ()
    times = (f"{o.slow_down_sleep_time:g}", f"{o.slow_down_wait_time:g}")
    return words("bench::slowed", *times, *endpoints(ctx, "decode"), "--")


def _load(ctx: BenchmarkContext, o: Options, c: int, *, prompts: int, rate: str, result: Word | None) -> Load:
    own = o.custom_tokenizer if o.custom_tokenizer and "/" in o.custom_tokenizer else None
    custom = o.dataset_name == "custom"
    return Load(
        url=ctx.url,
        model=ctx.job.served_model_name,
        tokenizer=own or ctx.job.model,
        concurrency=c,
        prompts=prompts,
        isl=o.isl,
        osl=o.osl,
        ratio=o.random_range_ratio,
        rate=rate,
        chat_template=uses_chat_template(_client(ctx.job.recipe, o), o.use_chat_template, rows=custom),
        reuse_connections=bool(o.reuse_http_connections),
        dataset_path=o.dataset_path if custom else None,
        result=result,
        artifacts=results(_folder(o), "artifacts", f"{'concurrency' if result else 'warmup'}_{c}"),
    )


def _folder(o: Options) -> str:
    if o.dataset_name == "custom":
        stem = (o.dataset_path or "").rstrip("/").rpartition("/")[2].partition(".")[0]
        return f"sa-bench_custom_{stem}"
    return f"sa-bench_isl_{o.isl}_osl_{o.osl}"


def _file(ctx: BenchmarkContext, c: int) -> str:
    gpus = gpus_by_mode(ctx.job.recipe)
    split = f"_ctx_{gpus['prefill']}_gen_{gpus['decode']}" if ctx.job.recipe.resources.disaggregated else ""
    return f"results_concurrency_{c}_gpus_{sum(gpus.values())}{split}.json"


def _parameters(ctx: BenchmarkContext, o: Options, client: str) -> tuple[tuple[str, str], ...]:
    gpus = gpus_by_mode(ctx.job.recipe)
    values: dict[str, object] = {
        "client": client,
        "isl": o.isl,
        "osl": o.osl,
        "concurrencies": "x".join(map(str, checks.rungs(o.concurrencies) or ())),
        "request_rate": checks.rate(o.req_rate),
        "tokenizer": ctx.job.model,
        "served_model_name": ctx.job.served_model_name,
        "disaggregated": ctx.job.recipe.resources.disaggregated,
        "total_gpus": sum(gpus.values()),
        "prefill_gpus": gpus["prefill"],
        "decode_gpus": gpus["decode"],
        "random_range_ratio": o.random_range_ratio,
        "num_prompts_mult": o.num_prompts_mult,
        "num_warmup_mult": o.num_warmup_mult,
        "custom_tokenizer": o.custom_tokenizer,
        "use_chat_template": uses_chat_template(client, o.use_chat_template, rows=o.dataset_name == "custom"),
        "dataset_name": o.dataset_name,
        "dataset_path": o.dataset_path,
        "slow_down_sleep_time": o.slow_down_sleep_time,
        "slow_down_wait_time": o.slow_down_wait_time,
        "reuse_http_connections": client == "vllm" or (client == "aiperf" and bool(o.reuse_http_connections)),
    }
    return texts(values)


PLUGIN = SaBench()
