"""Dynamo's mocker: a simulated engine without GPUs, for smoke tests of everything around the engine.

Out: ``python3 -m dynamo.mocker --model-path Qwen/Qwen3-0.6B --engine-type vllm --speedup-ratio 100.0 ...``. The mocker
registers under the model's path, so the path is the served name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from attrs import frozen

from srtplan import flags
from srtplan.plugin import (
    Command,
    Data,
    Engine,
    Finding,
    Map,
    Recipe,
    Role,
    StandIn,
    WorkerContext,
    override,
    runtime,
    words,
)

DECIDED = {
    "disaggregation-mode": "it follows from the role",
    "is-prefill-worker": "it follows from the role",
    "is-decode-worker": "it follows from the role",
    "model-path": "set model.path",
    "model-name": "the frontend finds the tokenizer by model.path",
}
COUNTS = {
    "num_gpu_blocks_override": 10**9,
    "max_num_seqs": 10**9,
    "max_num_batched_tokens": 10**9,
    "block_size": 10**6,
    "data_parallel_size": 10**4,
    "num_workers": 10**4,
}
"""Integer options from 1, with upper bounds that catch typing errors: each worker and rank is a thread of its process."""
AMOUNTS = dict.fromkeys(
    ("speedup_ratio", "decode_speedup_ratio", "startup_time", "kv_transfer_bandwidth"), 10**9
)


@frozen(kw_only=True)
class Options:
    """Options of the engine as a whole, named after the mocker's flags; ratios are speedups over real time."""

    engine_type: Literal["vllm", "sglang", "trtllm"] = "vllm"
    speedup_ratio: float = 100.0
    decode_speedup_ratio: float = 1.0
    num_gpu_blocks_override: int | None = 16384
    max_num_seqs: int | None = 256
    max_num_batched_tokens: int | None = 8192
    block_size: int | None = None
    data_parallel_size: int = 1
    num_workers: int = 1
    startup_time: float | None = None
    kv_transfer_bandwidth: float | None = None
    kv_cache_dtype: str | None = None
    enable_prefix_caching: bool = True
    enable_chunked_prefill: bool = True
    preemption_mode: Literal["lifo", "fifo"] | None = None


class Mocker(Engine[Options], name="mocker", interfaces=("dynamo",)):
    """The Dynamo mocker engine."""

    @override
    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Report numbers out of range, duplicate flags, flags that srtplan sets, and ``kv_events_config``."""
        yield from _ranges(recipe, self.options_of(recipe))
        for role in recipe.resources.roles:
            yield from flags.check_duplicates(role.args, role.args_at)
            yield from flags.check_planned(role.args, role.args_at, DECIDED)
            if role.kv_events is not None:
                yield Finding(
                    rule="SP505",
                    path=role.kv_events_at,
                    on_key=True,
                    message="the mocker does not read kv_events_config; it always publishes KV events",
                    help="remove `kv_events_config`",
                )

    @override
    def served_name(self, recipe: Recipe) -> str | None:
        """Return the model's full path or hub id."""
        inside = runtime(recipe.site.runtime).maps_paths
        return recipe.model.hub_id or ("/model" if inside else recipe.model.path)

    @override
    def instances(self, recipe: Recipe, role: Role) -> int:
        """Return the workers of the role times ``num_workers``."""
        own = flags.count(role.args, role.extra_args, "num-workers")
        return role.workers * (self.options_of(recipe).num_workers if own is None else own)

    @override
    def command(self, ctx: WorkerContext) -> Command:
        """Return the mocker's argv; options with the mocker's own default are omitted."""
        options = self.options_of(ctx.job.recipe)
        pairs: dict[str, Data] = {
            "engine-type": options.engine_type,
            "speedup-ratio": options.speedup_ratio,
            "data-parallel-size": options.data_parallel_size,
            "num-gpu-blocks-override": options.num_gpu_blocks_override,
            "max-num-seqs": options.max_num_seqs,
            "max-num-batched-tokens": options.max_num_batched_tokens,
            "block-size": options.block_size,
            "startup-time": options.startup_time,
            "kv-transfer-bandwidth": options.kv_transfer_bandwidth,
            "kv-cache-dtype": options.kv_cache_dtype,
            "preemption-mode": options.preemption_mode,
            "decode-speedup-ratio": None
            if options.decode_speedup_ratio == 1
            else options.decode_speedup_ratio,
            "num-workers": None if options.num_workers == 1 else options.num_workers,
            "no-enable-prefix-caching": not options.enable_prefix_caching,
            "no-enable-chunked-prefill": not options.enable_chunked_prefill,
            "disaggregation-mode": None if ctx.role.mode == "agg" else ctx.role.mode,
        }
        pairs |= {flags.dashed(k): v for k, v in ctx.role.args.pairs}
        argv = words("python3", "-m", "dynamo.mocker", "--model-path", ctx.model)
        rest = flags.render(Map(tuple(pairs.items())), ordered=False)
        return Command(
            argv=(*argv, *rest, *words(*ctx.role.extra_args)),
            listens=(ctx.process.port("system"),),
            note=f"Dynamo mocker, {ctx.endpoint.mode} worker {ctx.endpoint.index}",
            stand_in=StandIn(behavior="dynamo_worker"),
        )


def _ranges(recipe: Recipe, options: Options) -> Iterable[Finding]:
    """Report numbers outside the mocker's bounds; a speedup of 0 means no delays."""
    for name, high in (COUNTS | AMOUNTS).items():
        value, low = getattr(options, name), 1 if name in COUNTS else 0
        if value is not None and not low <= value <= high:
            message = f"{name} must be between {low} and {high}, not {value}"
            yield Finding(rule="SP511", path=(*recipe.engine.at, name), message=message)
    for role in recipe.resources.roles:
        names = [flags.dashed(n) for n in COUNTS]
        yield from flags.check_sizes(role.args, role.extra_args, role.args_at, role.extra_args_at, *names)


PLUGIN = Mocker()
