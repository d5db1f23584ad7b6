"""Recipes made at random: every engine, frontend and placement, most of them sensible, some not."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

PAIRS = (("sglang", "dynamo"), ("sglang", "sglang"), ("trtllm", "dynamo"), ("trtllm", "trtllm_serve"),
         ("vllm", "dynamo"), ("vllm", "vllm"), ("mocker", "dynamo"))  # fmt: skip
Recipe = dict[str, Any]
text = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=("Cs",)), max_size=12)


@st.composite
def side(draw: st.DrawFn, gpus_per_node: int, largest: int) -> tuple[int, int]:
    """Nodes and workers of one role; whole nodes per worker, or several workers per node."""
    if draw(st.booleans()):
        span, workers = draw(st.integers(1, 4)), draw(st.integers(1, largest))
        return span * workers, workers
    per_node = draw(st.sampled_from([n for n in (1, 2, 4, 8) if n <= gpus_per_node]))
    nodes = draw(st.integers(1, largest))
    return nodes, nodes * per_node


@st.composite
def recipes(draw: st.DrawFn, largest: int = 6) -> Recipe:
    """A v1 recipe as plain data."""
    engine, frontend = draw(st.sampled_from(PAIRS))
    gpn = draw(st.sampled_from([1, 4, 8]))
    resources: Recipe = {"gpu_type": draw(st.sampled_from(["h100", "gb200"])), "gpus_per_node": gpn}
    if frontend == "vllm" or draw(st.integers(0, 3)) == 0:
        resources["agg_nodes"], resources["agg_workers"] = draw(side(gpn, largest))
    else:
        resources["prefill_nodes"], resources["prefill_workers"] = draw(side(gpn, largest))
        resources["decode_nodes"], resources["decode_workers"] = draw(side(gpn, largest))
    backend: Recipe = {"type": engine}
    modes = ["aggregated"] if "agg_nodes" in resources else ["prefill", "decode"]
    if engine != "mocker":
        backend[f"{engine}_config"] = {m: draw(flags(engine)) for m in modes}
    for mode in modes:
        backend[f"{mode}_environment"] = draw(environment())
    return {
        "name": draw(st.from_regex(r"[a-z][a-z0-9._-]{0,20}", fullmatch=True)),
        "model": {"path": draw(st.sampled_from(["/models/m", "hf:org/m"])), "container": "/i.sqsh", "precision": "fp8"},
        "resources": resources,
        "backend": backend,
        "frontend": draw(frontends(frontend)),
        "infra": {"etcd_nats_dedicated_node": draw(st.booleans())},
        "environment": draw(environment()),
        "benchmark": {
            "type": "sa-bench", "isl": 128, "osl": 16, "concurrencies": draw(st.sampled_from(["4", "1x8", [2, 16]])),
            "client_dedicated_node": draw(st.booleans()), "colocate_with_frontend": draw(st.booleans()),
            "client_placement": draw(st.sampled_from(["head", "last_decode"])),
        },
    }  # fmt: skip


def environment() -> st.SearchStrategy[dict[str, str]]:
    """Variables with any text as value."""
    return st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True), text, max_size=3)


def flags(engine: str) -> st.SearchStrategy[Recipe]:
    """Options of a mode: any scalars, lists and mappings."""
    keys = st.from_regex(r"[a-z]{3,6}-[a-z]{3,6}", fullmatch=True)
    values = st.one_of(
        st.booleans(), st.integers(-5, 5), text, st.lists(st.integers(0, 9), max_size=3), st.none()
    )
    del engine
    return st.dictionaries(keys, values, max_size=4)


def frontends(kind: str) -> st.SearchStrategy[Recipe]:
    """A frontend section of a kind."""
    many = st.booleans() if kind in ("dynamo", "sglang") else st.just(False)  # noqa: FBT003
    return st.fixed_dictionaries(
        {
            "type": st.just(kind),
            "enable_multiple_frontends": many,
            "num_additional_frontends": st.integers(0, 9),
        }
    )
