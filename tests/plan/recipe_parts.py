"""Sections of recipes made at random: options of an engine, a frontend and a benchmark, mostly valid."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Data = dict[str, Any]
text = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=("Cs", "Cc")), max_size=12
)
flag = st.booleans()


def some(strategies: dict[str, st.SearchStrategy[Any]], *, most: int = 3) -> st.SearchStrategy[Data]:
    """A few of the keys, each with its values."""

    @st.composite
    def chosen(draw: st.DrawFn) -> Data:
        keys = draw(st.lists(st.sampled_from(sorted(strategies)), max_size=most, unique=True))
        return {key: draw(strategies[key]) for key in keys}

    return chosen()


def environment() -> st.SearchStrategy[dict[str, str]]:
    """Variables with any text as value."""
    return st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True), text, max_size=3)


def flags() -> st.SearchStrategy[Data]:
    """Options of a mode: any scalars, lists and mappings under names that mean nothing."""
    keys = st.from_regex(r"[a-z]{3,6}-[a-z]{3,6}", fullmatch=True)
    values = st.one_of(flag, st.integers(-5, 5), text, st.lists(st.integers(0, 9), max_size=3), st.none())
    return st.dictionaries(keys, values, max_size=4)


@st.composite
def parallel(draw: st.DrawFn, engine: str, gpus: int) -> Data:
    """Sizes that use the GPUs of a worker; now and then some that do not."""
    if gpus < 1 or engine == "mocker" or draw(flag):
        return {}
    divisors = [n for n in (1, 2, 4, 8, 16) if gpus % n == 0]
    ranks = draw(st.sampled_from(divisors))
    whole = gpus + 1 if draw(st.integers(0, 15)) == 15 else gpus
    if engine == "trtllm":
        return {"tensor_parallel_size": whole // ranks, "pipeline_parallel_size": ranks}
    if engine == "vllm":
        sizes: Data = {"data-parallel-size": ranks} if draw(flag) else {}
        rest = whole // ranks if sizes else whole
        return sizes | ({"tensor-parallel-size": rest} if rest > 1 or draw(flag) else {})
    attention = {"dp-size": ranks, "enable-dp-attention": True} if draw(flag) else {}
    return {"tp-size": whole} | attention


def engine_options(engine: str) -> st.SearchStrategy[Data]:
    """Options of the engine as a whole."""
    store = st.fixed_dictionaries({}, optional={"container": st.just("/store.sqsh")})
    events = st.one_of(flag, st.fixed_dictionaries({"prefill": st.one_of(flag, st.just({"topic": "t"}))}))
    return some(
        {
            "sglang": {"mooncake_kv_store": store, "kv_events_config": events},
            "vllm": {
                "mooncake_kv_store": store,
                "kv_events_config": events,
                "connector": st.sampled_from(["nixl", "lmcache", "kvbm", "none", '{"kv_connector": "X"}']),
                "dp_launch_mode": st.sampled_from(["per_node", "per_gpu"]),
                "set_cuda_visible_devices": flag,
                "allow_prefill_decode_colocation": flag,
                "allow_prefill_decode_colocation_across_nodes": flag,
            },
            "trtllm": {
                "publish_events_and_metrics": flag,
                "sequential_node_start": st.integers(0, 3),
                "numa_memory_bind": flag,
            },
            "mocker": {
                "engine_type": st.sampled_from(["vllm", "sglang", "trtllm"]),
                "data_parallel_size": st.integers(1, 4),
                "num_workers": st.integers(1, 3),
                "block_size": st.integers(1, 64),
            },
        }[engine]
    )


@st.composite
def frontends(draw: st.DrawFn, kind: str) -> Data:
    """A frontend section of a kind."""
    many = kind in ("dynamo", "sglang") and draw(flag)
    own: dict[str, st.SearchStrategy[Any]] = {
        "dedicated_node": flag,
        "orchestrator_placement": st.sampled_from(["head", "first_decode"]),
    }
    if kind in ("dynamo", "sglang"):
        own["args"] = st.dictionaries(
            st.sampled_from(["a-b", "c", "kv-x"]), st.one_of(flag, text), max_size=2
        )
        own["env"] = environment()
    if many:
        own |= {
            "num_additional_frontends": st.integers(0, 9),
            "nginx_raise_ulimit": flag,
            "nginx_session_affinity": flag,
            "nginx_keepalive_timeout": st.sampled_from(["10s", "5m"]),
        }
    if kind == "trtllm_serve":
        own |= {"ctx_router": st.just({"type": "round_robin"}), "server_config_extra": st.just({"x": 1})}
    return {"type": kind, "enable_multiple_frontends": many} | draw(some(own))


LADDER = st.sampled_from(["4", "1x8", [2, 16]])
LENGTHS: Data = {"isl": st.just(128), "osl": st.just(16), "concurrencies": LADDER}
BENCHMARKS: dict[str, Data] = {
    "sa-bench": {**LENGTHS, "client": st.sampled_from(["auto", "sglang", "vllm", "trtllm", "aiperf"])},
    "sglang-bench": {**LENGTHS, "use_chat_template": flag},
    "manual": {},
    "gsm8k": {"num_shots": st.integers(0, 5), "client": st.sampled_from(["auto", "sglang", "lm-eval"])},
    "gpqa": {"repeat": st.integers(1, 3)},
    "mmlu": {"num_examples": st.integers(1, 9)},
    "longbenchv2": {"categories": st.lists(text.filter(bool), min_size=1, max_size=2)},
    "lm-eval": {"tasks": st.lists(st.sampled_from(["gsm8k", "piqa"]), min_size=1, max_size=2, unique=True)},
    "router": {"prefix_ratios": st.just([0.1, 0.5])},
    "mooncake-router": {"mooncake_workload": st.sampled_from(["mooncake", "toolagent"])},
    "trace-replay": {"trace_file": st.just("/t.jsonl"), "concurrencies": LADDER},
    "custom": {"command": text.map(lambda t: f"echo {t}"), "env": environment()},
}


IN_SGLANG = ("sglang-bench", "gpqa", "mmlu", "longbenchv2", "gsm8k")


@st.composite
def benchmarks(draw: st.DrawFn, engine: str) -> Data:
    """A benchmark of any type, its client anywhere; one that only SGLang's image has mostly comes with an image."""
    kind = draw(st.sampled_from(list(BENCHMARKS)))
    placement = some(
        {
            "client_dedicated_node": flag,
            "colocate_with_frontend": flag,
            "client_placement": st.sampled_from(["head", "last_decode"]),
        }
    )
    own = {key: draw(values) for key, values in BENCHMARKS[kind].items()}
    if engine != "sglang" and kind in IN_SGLANG and draw(st.integers(0, 3)) != 3:
        own["container_image"] = "/sglang.sqsh"
    return {"type": kind} | own | draw(placement)


@st.composite
def profiling(draw: st.DrawFn, engine: str, modes: list[str]) -> Data:
    """A profiler with a window for each mode; mostly none."""
    kinds = {"mocker": [], "trtllm": ["nsys", "nsys-time"]}.get(engine, ["torch", "nsys", "nsys-time"])
    kind = draw(st.sampled_from(["none", "none", "none", *kinds]))
    if kind == "none":
        return {}
    if kind == "nsys-time":
        return {"type": kind, "delay_secs": 5, "duration_secs": 10}
    return {"type": kind} | {mode: {"start_step": 2, "stop_step": 9} for mode in modes}


def rest() -> st.SearchStrategy[Data]:
    """Sections that concern the job as a whole."""
    sources = [
        {"install": False},
        {"version": "0.8.1"},
        {"wheel": "0.8.0"},
        {"hash": "abc1234"},
        {"top_of_tree": True},
    ]
    return some(
        {
            "infra": st.fixed_dictionaries({"etcd_nats_dedicated_node": flag}),
            "dynamo": st.sampled_from(sources),
            "environment": environment(),
            "env_from": st.just(["HF_TOKEN"]),
            "container_mounts": st.just({"/data": "/data", "/{log_dir}x": "/y"}),
            "extra_mount": st.just(["/raid:/raid:ro"]),
            "srun_options": st.sampled_from([{"cpu-bind": "none"}, {"exact": ""}]),
            "sbatch_directives": st.sampled_from([{"mem": "0"}, {"exclusive": ""}, {"comment": "a b"}]),
            "slurm": st.just({"account": "me", "partition": "p", "time_limit": "02:00:00"}),
            "observability": st.fixed_dictionaries({"enabled": flag, "enable_otel": flag}),
            "health_check": st.just({"max_attempts": 3, "interval_seconds": 2}),
            "reporting": st.just({"status": {"endpoint": "http://status"}}),
        },
        most=5,
    )  # fmt: skip
