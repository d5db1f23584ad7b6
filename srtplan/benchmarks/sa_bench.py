"""sa-bench: throughput and latency over a ladder of concurrencies, by the engine's own load generator.

Per concurrency C two runs in the job's container: a warm-up of ``num_warmup_mult * C`` prompts at 250 requests per
second, then ``num_prompts_mult * C`` prompts at ``req_rate``. One result file each, below ``RUN_DIR/results``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from attrs import frozen

from srtplan.benchmarks._clients import CLIENTS, Load
from srtplan.diagnostics import Finding
from srtplan.ir.plan import Run
from srtplan.ir.recipe import Recipe
from srtplan.ir.shell import RUN_DIR, Word, word, words
from srtplan.plugin import BenchmarkCommand, BenchmarkContext, Command, engine

WARMUP_RATE = "250"


@frozen(kw_only=True)
class Options:
    """``concurrencies`` is a list or ``"4x8x16"``; ``req_rate`` is requests per second or ``inf``."""

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
    use_chat_template: bool = True
    reuse_http_connections: bool = False
    client: Literal["auto", "sglang", "vllm", "trtllm", "aiperf"] = "auto"


@frozen
class SaBench:
    """The benchmark plugin."""

    name: str = "sa-bench"
    options: type[object] = Options

    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Required fields and ranges."""
        at, o = recipe.benchmark.at, _options(recipe)
        for name in ("isl", "osl", "concurrencies"):
            if getattr(o, name) is None and not (o.dataset_name == "custom" and name != "concurrencies"):
                yield Finding(
                    rule="SP701",
                    path=at,
                    message=f"sa-bench needs '{name}'",
                    help=f"add `{name}:` to benchmark",
                )
        yield from _ranges(o, at)
        if o.dataset_name == "custom" and not o.dataset_path:
            yield Finding(rule="SP701", path=at, message="a custom dataset needs 'dataset_path'")
        if o.custom_tokenizer and "/" not in o.custom_tokenizer:
            yield Finding(
                rule="SP703",
                path=(*at, "custom_tokenizer"),
                severity="warning",
                message="a tokenizer class is known only to srtctl's own client; the model's tokenizer is used",
                help="give a directory or a Hugging Face id, or leave it out",
            )

    def command(self, ctx: BenchmarkContext) -> BenchmarkCommand:
        """The ladder as runs, and the parameters as srtctl names them."""
        recipe = ctx.job.recipe
        o = _options(recipe)
        client = engine(recipe.engine.type).client if o.client == "auto" else o.client
        runs = tuple(r for c in parse_concurrencies(o.concurrencies) or () for r in _pair(ctx, o, client, c))
        return BenchmarkCommand(
            command=Command(
                runs=runs,
                preamble=(words("setup::open_files", 65536),),
                note=f"sa-bench with the {client} client",
            ),
            parameters=_parameters(ctx, o, client),
        )


def parse_concurrencies(value: tuple[int | str, ...] | str | None) -> tuple[int, ...] | None:
    """``"4x8"`` or a list as numbers; None if it is neither, or not positive."""
    items = value.split("x") if isinstance(value, str) else list(value or ())
    if not items or not all(str(i).strip().isdigit() and int(i) > 0 for i in items):
        return None
    return tuple(int(i) for i in items)


def _options(recipe: Recipe) -> Options:
    options = recipe.benchmark.options
    assert isinstance(options, Options)  # noqa: S101 -- structured into this class by config
    return options


def _ranges(o: Options, at: tuple[str | int, ...]) -> Iterable[Finding]:
    def bad(name: str, says: str) -> Finding:
        return Finding(rule="SP702", path=(*at, name), message=f"{name} {says}")

    if o.concurrencies is not None and parse_concurrencies(o.concurrencies) is None:
        yield bad("concurrencies", "must be positive numbers, as [4, 8] or '4x8'")
    for name, least in (("isl", 1), ("osl", 1), ("num_prompts_mult", 1), ("num_warmup_mult", 0)):
        value = getattr(o, name)
        if value is not None and value < least:
            yield bad(name, f"must be at least {least}")
    if not 0 < o.random_range_ratio <= 1:
        yield bad(
            "random_range_ratio",
            "must be above 0 and at most 1: the shortest length as a part of the longest",
        )
    if _rate(o) is None:
        yield bad("req_rate", "must be a positive number of requests per second, or inf")


def _rate(o: Options) -> str | None:
    text = str(o.req_rate)
    if text == "inf":
        return text
    try:
        value = float(text)
    except ValueError:
        return None
    return f"{value:g}" if 0 < value < float("inf") else None


def _pair(ctx: BenchmarkContext, o: Options, client: str, c: int) -> Iterable[Run]:
    result = word(RUN_DIR, f"/results/{_folder(o)}/{_file(ctx, c)}")
    if o.num_warmup_mult:
        load = _load(ctx, o, c, prompts=o.num_warmup_mult * c, rate=WARMUP_RATE, result=None)
        yield Run(name=f"warmup_{c}", argv=CLIENTS[client](load))
    load = _load(ctx, o, c, prompts=o.num_prompts_mult * c, rate=_rate(o) or "inf", result=result)
    yield Run(name=f"concurrency_{c}", argv=CLIENTS[client](load), result=result, client=client)


def _load(ctx: BenchmarkContext, o: Options, c: int, *, prompts: int, rate: str, result: Word | None) -> Load:
    own = o.custom_tokenizer if o.custom_tokenizer and "/" in o.custom_tokenizer else None
    return Load(
        url=ctx.url,
        model=ctx.job.served_model_name,
        tokenizer=own or ctx.job.model,
        concurrency=c,
        prompts=prompts,
        isl=o.isl or 1,
        osl=o.osl or 1,
        ratio=o.random_range_ratio,
        rate=rate,
        chat_template=o.use_chat_template,
        reuse_connections=o.reuse_http_connections,
        dataset_path=o.dataset_path if o.dataset_name == "custom" else None,
        result=result,
        artifacts=word(
            RUN_DIR, f"/results/{_folder(o)}/artifacts/{'concurrency' if result else 'warmup'}_{c}"
        ),
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


def gpus_by_mode(recipe: Recipe) -> dict[str, int]:
    """GPUs that the workers of each mode use."""
    roles = {r.mode: r.workers * r.gpus for r in recipe.resources.roles}
    return {mode: roles.get(mode, 0) for mode in ("prefill", "decode", "agg")}


def _parameters(ctx: BenchmarkContext, o: Options, client: str) -> tuple[tuple[str, str], ...]:
    gpus = gpus_by_mode(ctx.job.recipe)
    values: dict[str, object] = {
        "client": client,
        "isl": o.isl or "",
        "osl": o.osl or "",
        "concurrencies": "x".join(map(str, parse_concurrencies(o.concurrencies) or ())),
        "request_rate": _rate(o) or "",
        "tokenizer": ctx.job.model,
        "served_model_name": ctx.job.served_model_name,
        "disaggregated": ctx.job.recipe.resources.disaggregated,
        "total_gpus": sum(gpus.values()),
        "prefill_gpus": gpus["prefill"],
        "decode_gpus": gpus["decode"],
        "random_range_ratio": o.random_range_ratio,
        "num_prompts_mult": o.num_prompts_mult,
        "num_warmup_mult": o.num_warmup_mult,
        "custom_tokenizer": o.custom_tokenizer or "",
        "use_chat_template": o.use_chat_template,
        "dataset_name": o.dataset_name,
        "dataset_path": o.dataset_path or "",
        "reuse_http_connections": o.reuse_http_connections,
    }
    return tuple((k, str(v).lower() if isinstance(v, bool) else str(v)) for k, v in values.items())


PLUGIN = SaBench()
