"""Recipes made at random: every engine, frontend, placement and benchmark; most of them sensible, some not."""

from __future__ import annotations

from typing import Any

import recipe_parts as parts
from hypothesis import strategies as st

PAIRS = (("sglang", "dynamo"), ("sglang", "sglang"), ("trtllm", "dynamo"), ("trtllm", "trtllm_serve"),
         ("vllm", "dynamo"), ("vllm", "vllm"), ("mocker", "dynamo"))  # fmt: skip
Recipe = dict[str, Any]


@st.composite
def side(draw: st.DrawFn, gpus_per_node: int, largest: int) -> tuple[int, int]:
    """Nodes and workers of one role; whole nodes per worker, or several workers per node; now and then hundreds of nodes."""
    if draw(st.integers(0, 24)) == 24:  # the simplest case is a small one
        span = draw(st.sampled_from([1, 2, 16, 250]))
        return (workers := draw(st.integers(1, 500 // span))) * span, workers
    if draw(st.booleans()):
        span, workers = draw(st.integers(1, 4)), draw(st.integers(1, largest))
        return span * workers, workers
    per_node = draw(st.sampled_from([n for n in (1, 2, 4, 8) if n <= gpus_per_node]))
    nodes = draw(st.integers(1, largest))
    return nodes, nodes * per_node


@st.composite
def resources(draw: st.DrawFn, *, aggregated: bool, largest: int, single: bool) -> Recipe:
    """Nodes and workers, of one role or of two; decode on nodes of its own or on those of prefill."""
    gpn = draw(st.sampled_from([1, 4, 8]))
    out: Recipe = {"gpu_type": draw(st.sampled_from(["h100", "gb200"])), "gpus_per_node": gpn}
    if aggregated:
        out["agg_nodes"], out["agg_workers"] = draw(side(gpn, largest))
        if single and draw(st.integers(0, 9)) != 9:
            out["agg_workers"] = 1
        return out | ({"spread_workers": True} if draw(st.integers(0, 5)) == 5 else {})
    out["prefill_nodes"], out["prefill_workers"] = draw(side(gpn, largest))
    if gpn > 1 and draw(st.integers(0, 4)) == 4:
        nodes = draw(st.integers(1, largest))
        half = {"prefill_nodes": nodes, "prefill_workers": nodes, "gpus_per_prefill": gpn // 2}
        return (
            out
            | half
            | {"decode_nodes": 0, "decode_workers": draw(st.integers(1, nodes)), "gpus_per_decode": gpn // 2}
        )
    out["decode_nodes"], out["decode_workers"] = draw(side(gpn, largest))
    return out | draw(parts.some({"spread_workers": st.booleans(), "het_jobs": st.booleans()}, most=1))


def gpus(made: Recipe, mode: str) -> int:
    """GPUs of one worker."""
    if own := made.get(f"gpus_per_{mode}"):
        return int(own)
    return int(made[f"{mode}_nodes"] * made["gpus_per_node"] // max(1, made[f"{mode}_workers"]))


@st.composite
def recipes(
    draw: st.DrawFn, largest: int = 6, *, pair: tuple[str, str] | None = None, aggregated: bool | None = None
) -> Recipe:
    """A v1 recipe as plain data, of one pair of engine and frontend or of any."""
    pairs = [p for p in PAIRS if aggregated is not False or p[1] != "vllm"]
    engine, frontend = pair or draw(st.sampled_from(pairs))
    if aggregated is None:
        aggregated = frontend == "vllm" or draw(st.integers(0, 3)) == 0
    size = draw(
        resources(aggregated=aggregated, largest=largest, single=frontend in ("vllm", "trtllm_serve"))
    )
    names = {"agg": "aggregated"} if aggregated else {"prefill": "prefill", "decode": "decode"}
    backend: Recipe = {"type": engine} | draw(parts.engine_options(engine))
    if engine != "mocker":
        backend[f"{engine}_config"] = {
            name: draw(parts.flags()) | draw(parts.parallel(engine, gpus(size, mode)))
            for mode, name in names.items()
        }
    if "mooncake_kv_store" in backend and draw(st.integers(0, 9)) != 9:
        backend[f"{engine}_config"][next(iter(names.values()))]["hicache-storage-backend"] = "mooncake"
    for name in names.values():
        backend |= draw(
            parts.some(
                {f"{name}_environment": parts.environment(), f"{name}_extra_args": st.just(["--x", "a b"])}
            )
        )
    whole = {
        "name": draw(st.from_regex(r"[a-z][a-z0-9._-]{0,20}", fullmatch=True)),
        "model": {"path": draw(st.sampled_from(["/models/m", "hf:org/m"])), "container": "/i.sqsh", "precision": "fp8"},
        "resources": size,
        "backend": backend,
        "frontend": draw(parts.frontends(frontend)),
        "benchmark": draw(parts.benchmarks(engine)),
        "profiling": draw(parts.profiling(engine, list(names.values()))),
    }  # fmt: skip
    return whole | draw(parts.rest())
