"""No field is silently ignored: a value other than the default changes the plan or is reported.

Every field of the sections and every option of engines and frontends is tried with every pair of engine and frontend.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from made import Recipe, aggregated, planned, recipe
from recipes import PAIRS

from srtplan import plugin
from srtplan.config.layouts import observability, v1_sections
from srtplan.diagnostics import InputError
from srtplan.ir.recipe import Source

pytestmark = pytest.mark.usefixtures("alone")

VALUES: dict[str, Any] = {
    "model.stage_dir": "/raid/models",
    "resources.spread_workers": True,
    "resources.het_jobs": True,
    "slurm.account": "acct",
    "slurm.partition": "part",
    "slurm.time_limit": "02:00:00",
    "backend.prefill_environment": {"A": "1"},
    "backend.decode_environment": {"A": "1"},
    "backend.aggregated_environment": {"A": "1"},
    "backend.prefill_extra_args": ["--x"],
    "backend.decode_extra_args": ["--x"],
    "backend.aggregated_extra_args": ["--x"],
    "backend.kv_events_config": True,
    "frontend.enable_multiple_frontends": False,
    "frontend.num_additional_frontends": 0,
    "frontend.nginx_container": "nginx:2",
    "frontend.nginx_raise_ulimit": True,
    "frontend.nginx_session_affinity": True,
    "frontend.nginx_session_affinity_header": "X-Other",
    "frontend.nginx_keepalive_timeout": "60s",
    "frontend.args": {"x": 1},
    "frontend.env": {"A": "1"},
    "frontend.orchestrator_placement": "first_decode",
    "frontend.dedicated_node": True,
    "dynamo.install": False,
    "dynamo.version": "1.0.0",
    "dynamo.hash": "0123456789abcdef",
    "dynamo.top_of_tree": True,
    "dynamo.wheel": "1.0.0",
    "dynamo.cargo_patches": ['x = "1"'],
    "dynamo.request_plane": "nats",
    "dynamo.event_plane": "zmq",
    "benchmark.client_placement": "last_decode",
    "benchmark.client_dedicated_node": True,
    "benchmark.colocate_with_frontend": False,
    "benchmark.retries": 2,
    "benchmark.max_failed_share": 0.5,
    "profiling.prefill": {"start_step": 1, "stop_step": 2},
    "profiling.decode": {"start_step": 1, "stop_step": 2},
    "profiling.aggregated": {"start_step": 1, "stop_step": 2},
    "profiling.delay_secs": 1,
    "profiling.duration_secs": 2,
    "profiling.benchmark_duration_secs": 1,
    "profiling.extra_nsys_args": ["--x"],
    "profiling.isl": 1,
    "profiling.osl": 1,
    "profiling.concurrency": 1,
    "health_check.max_attempts": 9,
    "health_check.interval_seconds": 3,
    "infra.etcd_nats_dedicated_node": True,
    "infra.nats_max_payload_mb": 32,
    "observability.enabled": True,
    "observability.enable_otel": True,
    "observability.otel_endpoint": "http://x:1",
    "observability.scrape_metrics": True,
    "observability.scrape_interval_seconds": 5.0,
    "observability.scrape_output": "x",
    "observability.build_dashboard": True,
    "observability.tachometer": {"enabled": True},
    "environment": {"A": "1"},
    "env_from": ["HF_TOKEN"],
    "container_mounts": {"/a": "/b"},
    "extra_mount": ["/a:/b"],
    "srun_options": {"x-y": "1"},
    "sbatch_directives": {"mem": "0"},
    "setup_script": "x.sh",
    "host_setup": {"x": 1},
    "enable_config_dump": True,
    "output": {"x": 1},
    "reporting": {"status": {"endpoint": "http://x"}},
    "identity": {"x": 1},
    "telemetry": {"enabled": True},
    "lock": {"x": 1},
    # options of engines and frontends
    "sglang.mooncake_kv_store": {},
    "trtllm.publish_events_and_metrics": True,
    "trtllm.sequential_node_start": 1,
    "trtllm.numa_memory_bind": True,
    "vllm.connector": "lmcache",
    "vllm.set_cuda_visible_devices": True,
    "vllm.allow_prefill_decode_colocation": True,
    "vllm.allow_prefill_decode_colocation_across_nodes": True,
    "vllm.dp_launch_mode": "per_gpu",
    "vllm.mooncake_kv_store": {},
    "mocker.engine_type": "sglang",
    "mocker.speedup_ratio": 2.0,
    "mocker.decode_speedup_ratio": 2.0,
    "mocker.num_gpu_blocks_override": 8,
    "mocker.max_num_seqs": 8,
    "mocker.max_num_batched_tokens": 8,
    "mocker.block_size": 8,
    "mocker.data_parallel_size": 2,
    "mocker.num_workers": 2,
    "mocker.startup_time": 1.0,
    "mocker.kv_transfer_bandwidth": 1.0,
    "mocker.kv_cache_dtype": "fp8",
    "mocker.enable_prefix_caching": False,
    "mocker.enable_chunked_prefill": False,
    "mocker.preemption_mode": "fifo",
    "trtllm_serve.ctx_router": {"x": 1},
    "trtllm_serve.gen_router": {"x": 1},
    "trtllm_serve.server_config_extra": {"x": 1},
}
"""A value for each field, other than its default."""

TESTED_ELSEWHERE = {"name", "model.path", "model.container", "resources.gpus_per_node", "backend.type", "frontend.type",
             "benchmark.type", "profiling.type"} | {
    f"resources.{name}" for m in ("prefill", "decode", "agg") for name in (f"{m}_nodes", f"{m}_workers", f"gpus_per_{m}")
}  # fmt: skip
"""Fields that many other tests cover."""

FREE_TEXT = {"model.precision", "resources.gpu_type"}
"""Free text that is only displayed and sent to status services."""

AGREE_WITH_DEFAULT = {
    "frontend.enable_multiple_frontends": "the job has one frontend anyway",
    "frontend.num_additional_frontends": "the job has no nodes for more frontends",
    "dynamo.install": "nothing is installed anyway",
    "vllm.set_cuda_visible_devices": "`vllm serve` always sets it",
    "vllm.allow_prefill_decode_colocation": "the workers fill whole nodes anyway",
    "vllm.allow_prefill_decode_colocation_across_nodes": "the workers fill whole nodes anyway",
    "trtllm.sequential_node_start": "a node has a single worker anyway",
}
"""Fields whose value may agree with what happens without them, so that no warning is needed."""

SECTIONS = {
    "model": v1_sections.ModelSection,
    "resources": v1_sections.ResourcesSection,
    "slurm": v1_sections.SlurmSection,
    "backend": v1_sections.BackendSection,
    "frontend": v1_sections.FrontendSection,
    "dynamo": v1_sections.DynamoSection,
    "benchmark": v1_sections.BenchmarkSection,
    "profiling": v1_sections.ProfilingSection,
    "health_check": v1_sections.HealthSection,
    "infra": v1_sections.InfraSection,
    "observability": observability.ObservabilitySection,
}
COMBINATIONS = [(e, f, d) for e, f in PAIRS for d in (True, False) if (f, d) != ("vllm", True)]
BENCH = {"type": "sa-bench", "isl": 8, "osl": 8, "concurrencies": [1]}


def fields() -> Iterator[str]:
    """Yield every field as ``section.field``, and options of plugins as ``plugin.option``."""
    for section, kind in SECTIONS.items():
        yield from (f"{section}.{f.name}" for f in attrs.fields(kind))
    yield from (f.name for f in attrs.fields(v1_sections.Document) if f.name not in SECTIONS)
    for kind in ("engine", "frontend"):
        for name in plugin.names(kind):  # type: ignore[arg-type]
            options = plugin.get(kind, name).options  # type: ignore[arg-type]
            yield from (f"{name}.{f.name}" for f in attrs.fields(options))


def test_every_field_has_a_test_value() -> None:
    """A new field needs a value here."""
    assert set(fields()) - TESTED_ELSEWHERE - FREE_TEXT == set(VALUES)


def base(engine: str, frontend: str, *, disaggregated: bool) -> Recipe:
    """Return a valid recipe of a pair of engine and frontend."""
    data = recipe(engine, frontend={"type": frontend}, benchmark=BENCH)
    if frontend == "trtllm_serve":
        data["frontend"]["enable_multiple_frontends"] = False
    if not disaggregated:
        data["resources"] = aggregated(1, 1)
    return data


def changed(data: Recipe, field: str) -> Recipe | None:
    """Return the recipe with one field set; None if the field belongs to another plugin."""
    section, _, name = field.rpartition(".")
    where = {data["backend"]["type"]: "backend", data["frontend"]["type"]: "frontend"}
    if section and section not in SECTIONS:
        own = [k for k, v in where.items() if k == section and name in options_of(v, k)]
        if not own:
            return None
        section = where[section]
    result = copy.deepcopy(data)
    (result.setdefault(section, {}) if section else result)[name] = VALUES[field]
    return result


def options_of(section: str, name: str) -> set[str]:
    """Return the names of a plugin's options."""
    kind = plugin.engine(name) if section == "backend" else plugin.frontend(name)
    return {f.name for f in attrs.fields(kind.options)}  # type: ignore[arg-type]


def plan_and_problems(data: Recipe) -> tuple[object, ...]:
    """Return the plan without the recipe's checksum, and all problems."""
    try:
        made = planned(data)
    except InputError as error:
        return (None, tuple((p.rule, p.message) for p in error.report))
    plan = attrs.evolve(made.plan, recipe=Source(path="", sha256=""))
    return (plan, tuple((p.rule, p.message) for p in made.report))


def silently_ignored(data: Recipe, names: list[str]) -> set[str]:
    """Return the fields that change neither the plan nor the problems."""
    before = plan_and_problems(data)
    assert before[0] is not None, before
    tried = {name: changed(data, name) for name in names}
    return {name for name, other in tried.items() if other is not None and plan_and_problems(other) == before}


@pytest.mark.parametrize(("engine", "frontend", "disaggregated"), COMBINATIONS)
def test_no_field_is_silently_ignored(engine: str, frontend: str, disaggregated: bool) -> None:  # noqa: FBT001
    """With every engine and frontend, each field changes the plan or is reported, except for those listed above."""
    found = silently_ignored(base(engine, frontend, disaggregated=disaggregated), list(VALUES))
    assert found - set(AGREE_WITH_DEFAULT) == set()


def test_each_exception_has_an_effect_in_some_job() -> None:
    """Each excepted field changes the plan of at least one job."""
    jobs = [base(e, f, disaggregated=d) for e, f, d in COMBINATIONS]
    packed = base("vllm", "dynamo", disaggregated=True)
    packed["resources"] |= {"gpus_per_prefill": 4, "gpus_per_decode": 4}
    many = base("trtllm", "dynamo", disaggregated=True)
    many["resources"] |= {"prefill_workers": 2}
    wide = base("sglang", "dynamo", disaggregated=True)
    wide["resources"] |= {"decode_nodes": 2}
    for name in AGREE_WITH_DEFAULT:
        tried = [(job, changed(job, name)) for job in (*jobs, packed, many, wide)]
        assert any(
            other is not None and plan_and_problems(other) != plan_and_problems(job) for job, other in tried
        ), name


@pytest.mark.parametrize("kind", ["none", "torch", "nsys", "nsys-time"])
def test_no_field_of_profiling_is_silently_ignored(kind: str) -> None:
    """With every profiler, each field is used or reported."""
    data = base("sglang", "dynamo", disaggregated=True)
    window = {"start_step": 1, "stop_step": 9}
    own: dict[str, Recipe] = {
        "none": {},
        "torch": {"prefill": window, "decode": window},
        "nsys": {"prefill": window, "decode": window},
        "nsys-time": {"delay_secs": 5, "duration_secs": 9},
    }
    data["profiling"] = {"type": kind} | own[kind]
    names = [n for n in VALUES if n.startswith("profiling.")]
    assert silently_ignored(data, names) == set()


def test_no_common_field_is_silently_ignored_without_a_client() -> None:
    """Without a client, fields of the client are reported."""
    data = base("sglang", "dynamo", disaggregated=True) | {"benchmark": {"type": "manual"}}
    assert silently_ignored(data, [n for n in VALUES if n.startswith("benchmark.")]) == set()


def test_unused_defaults_of_the_profile_are_not_reported() -> None:
    """A default of the profile applies to every recipe, including those that cannot use it."""
    data = base("vllm", "vllm", disaggregated=False)
    assert list(planned(data, profile={"nginx_raise_ulimit": True}).report) == []
    data["frontend"]["nginx_raise_ulimit"] = True
    assert [p.rule for p in planned(data, profile={"nginx_raise_ulimit": True}).report] == ["SP115"]
