"""The sections of a v1 recipe as they stand in YAML: names, types, defaults, and one line on each for the reference.

In: nothing. Out: attrs classes that ``structure`` fills from the tree and ``v1`` lowers into a Recipe;
``docs/reference/recipe.md`` is generated from them. A section that a plugin knows best (``backend``, ``frontend``,
``benchmark``) stays a ``Mapping`` here, and its common fields have a class of their own.
"""

# ruff: noqa: RUF009 -- may() and must() are attrs.field() with a description
# eq=False, repr=False: sections are lowered at once, and each generated method costs a quarter millisecond at start.

from __future__ import annotations

from typing import Any, Literal

import attrs
from attrs import frozen

from srtplan.config.yaml.tree import Mapping, Origin, Spot
from srtplan.ir.data import EMPTY, Data, Map
from srtplan.ir.recipe import Pairs


def must(doc: str) -> Any:  # noqa: ANN401 -- attrs.field() is typed so, too
    """A required field."""
    return attrs.field(metadata={"doc": doc})


def may(default: object, doc: str) -> Any:  # noqa: ANN401
    """An optional field with its default."""
    return attrs.field(default=default, metadata={"doc": doc})


NOTHING = Mapping(Spot(Origin("default", "", is_file=False)), {})
"""An empty section."""


@frozen(kw_only=True, eq=False, repr=False)
class ModelSection:
    """What is served, and in which image."""

    path: str = must("directory of the model, an alias of `model_paths`, or `hf:<org>/<name>`")
    container: str = must("image file, image reference, or an alias of `containers`")
    precision: str = must("free text, for people: fp4, fp8, bf16")
    stage_dir: str | None = may(None, "node-local directory that the model is copied to before workers start")


@frozen(kw_only=True, eq=False, repr=False)
class ResourcesSection:
    """Nodes, workers and GPUs: `prefill_*` and `decode_*`, or `agg_*`."""

    gpu_type: str = must("free text such as `gb200`; some engines choose NUMA binding by it")
    gpus_per_node: int = may(
        4, "GPUs of a node; the profile's `gpus_per_node` is the default where it has one"
    )
    prefill_nodes: int | None = may(None, "nodes of the prefill workers")
    decode_nodes: int | None = may(None, "nodes of the decode workers; 0 shares the prefill nodes")
    prefill_workers: int | None = may(None, "prefill workers")
    decode_workers: int | None = may(None, "decode workers")
    agg_nodes: int | None = may(
        None, "nodes of aggregated workers, 1 if there are workers and nothing is said"
    )
    agg_workers: int | None = may(None, "aggregated workers")
    gpus_per_prefill: int | None = may(
        None, "GPUs of one prefill worker; nodes x gpus_per_node / workers, rounded down"
    )
    gpus_per_decode: int | None = may(
        None, "GPUs of one decode worker, likewise; of a prefill worker where nodes are shared"
    )
    gpus_per_agg: int | None = may(None, "GPUs of one aggregated worker, likewise")
    spread_workers: bool = may(default=False, doc="one worker per node, where workers are smaller than nodes")
    het_jobs: bool | None = may(
        None, "two Slurm components, prefill and decode; the profile's `use_het_jobs` is the default"
    )


@frozen(kw_only=True, eq=False, repr=False)
class SlurmSection:
    """Where the job is queued."""

    account: str | None = may(None, "account; else the profile's `default_account`, else Slurm's own default")
    partition: str | None = may(
        None, "partition; else the profile's `default_partition`, else Slurm's own default"
    )
    time_limit: str | None = may(
        None, "time limit as sbatch takes it; else `default_time_limit`, else 01:00:00"
    )


@frozen(kw_only=True, eq=False, repr=False)
class BackendSection:
    """The common part of `backend`; what is left belongs to the engine."""

    type: str = may("sglang", "the engine")
    prefill_environment: Pairs = may((), "environment of prefill workers")
    decode_environment: Pairs = may((), "environment of decode workers")
    aggregated_environment: Pairs = may((), "environment of aggregated workers")
    prefill_extra_args: tuple[str, ...] = may((), "further words of the command line of prefill workers")
    decode_extra_args: tuple[str, ...] = may((), "likewise, of decode workers")
    aggregated_extra_args: tuple[str, ...] = may((), "likewise, of aggregated workers")
    kv_events_config: KvEvents | bool | None = may(
        None, "KV cache events: true for prefill and decode, or a mapping by role"
    )


@frozen(kw_only=True, eq=False, repr=False)
class KvEvents:
    """KV cache events by role: true, or a mapping over the engine's defaults (publisher, topic)."""

    prefill: Map | bool | None = may(None, "of prefill workers")
    decode: Map | bool | None = may(None, "of decode workers")
    aggregated: Map | bool | None = may(None, "of aggregated workers")


@frozen(kw_only=True, eq=False, repr=False)
class EngineArgs:
    """Options of the engine's own command line or configuration file, by role."""

    prefill: Map | None = may(None, "of prefill workers")
    decode: Map | None = may(None, "of decode workers")
    aggregated: Map | None = may(None, "of aggregated workers")


@frozen(kw_only=True, eq=False, repr=False)
class FrontendCommon:
    """The common part of `frontend` in both layouts."""

    enable_multiple_frontends: bool = may(
        default=True, doc="several frontends behind nginx, where there are nodes for them"
    )
    num_additional_frontends: int = may(9, "at most so many beyond the first")
    nginx_container: str = may("nginx:1.27.4", "image of nginx, or an alias of `containers`")
    nginx_raise_ulimit: bool = may(default=False, doc="raise the limit of open files before nginx starts")
    nginx_session_affinity: bool = may(default=False, doc="send requests of one session to one frontend")
    nginx_session_affinity_header: str = may("X-Dynamo-Session-ID", "the header that names the session")
    nginx_keepalive_timeout: str = may("600s", "nginx's `keepalive_timeout`")
    args: Map | None = may(None, "options of the frontend's command line, in this order")
    env: Pairs | None = may(None, "environment of each frontend")


@frozen(kw_only=True, eq=False, repr=False)
class FrontendSection(FrontendCommon):
    """The common part of `frontend`; what is left belongs to the frontend's type."""

    type: str = may("dynamo", "the frontend")
    orchestrator_placement: Literal["head", "first_decode"] = may(
        "head", "node of the frontend, where there is one without nginx"
    )
    dedicated_node: bool = may(default=False, doc="a node of its own for the frontend")


@frozen(kw_only=True, eq=False, repr=False)
class DynamoSection:
    """How Dynamo gets into the container, and its planes."""

    install: bool = may(default=True, doc="false: the container has Dynamo already")
    version: str | None = may("0.8.0", "version on PyPI; quote it")
    hash: str | None = may(None, "build from this git commit")
    top_of_tree: bool = may(default=False, doc="build from the default branch, as it is when the job runs")
    wheel: str | None = may(None, "version of a prefetched wheel")
    cargo_patches: tuple[str, ...] = may(
        (),
        "lines `CRATE = SPECIFICATION`, each replaces a dependency in every Cargo.toml of a source build; needs `hash`",
    )
    request_plane: Literal["nats", "tcp", "http"] = may("tcp", "how requests reach the workers")
    event_plane: Literal["nats", "zmq"] | None = may(None, "how KV events travel; Dynamo's default if unset")


@frozen(kw_only=True, eq=False, repr=False)
class BenchmarkSection:
    """The common part of `benchmark`; what is left belongs to its type."""

    type: str = may("manual", "the benchmark; `manual` serves until it is stopped")
    client_placement: Literal["head", "last_decode"] = may("head", "node of the client")
    client_dedicated_node: bool = may(default=False, doc="a node of its own for the client")
    colocate_with_frontend: bool = may(
        default=True, doc="all dedicated roles share one node; false: one each"
    )
    retries: int = may(
        0, "how often a run of the benchmark that failed is tried again, with the model still loaded"
    )
    max_failed_share: float = may(0.05, "share of failed requests above which a run is no result")


@frozen(kw_only=True, eq=False, repr=False)
class WindowSection:
    """Steps between which a profiler records."""

    start_step: int | None = may(None, "first step")
    stop_step: int | None = may(None, "step after the last")


@frozen(kw_only=True, eq=False, repr=False)
class ProfilingSection:
    """Profiling of the workers while the benchmark runs."""

    type: Literal["none", "torch", "nsys", "nsys-time"] = may("none", "the profiler")
    prefill: WindowSection | None = may(None, "window of prefill workers")
    decode: WindowSection | None = may(None, "window of decode workers")
    aggregated: WindowSection | None = may(None, "window of aggregated workers")
    delay_secs: int | None = may(None, "`nsys-time`: seconds until recording starts")
    duration_secs: int | None = may(None, "`nsys-time`: seconds that are recorded")
    benchmark_duration_secs: int = may(300, "`nsys-time`: seconds that the benchmark is expected to take")
    extra_nsys_args: tuple[str, ...] = may((), "further words for nsys")
    isl: int | None = may(None, "no effect: profiling records the benchmark's own traffic")
    osl: int | None = may(None, "no effect, likewise")
    concurrency: int | None = may(None, "no effect, likewise")


@frozen(kw_only=True, eq=False, repr=False)
class HealthSection:
    """The budget for readiness: attempts x interval."""

    max_attempts: int = may(180, "attempts")
    interval_seconds: int = may(10, "seconds between two attempts")


@frozen(kw_only=True, eq=False, repr=False)
class InfraSection:
    """NATS and etcd."""

    etcd_nats_dedicated_node: bool = may(default=False, doc="a node of their own, the first")
    nats_max_payload_mb: int | None = may(None, "largest NATS message in MiB")


@frozen(kw_only=True, eq=False, repr=False)
class Document:
    """A v1 recipe."""

    name: str = must("name of the job, also in Slurm")
    model: ModelSection = must("the model")
    resources: ResourcesSection = must("nodes, workers and GPUs")
    slurm: SlurmSection = may(SlurmSection(), "queue and time limit")
    backend: Mapping = may(NOTHING, "the engine and its workers")
    frontend: Mapping = may(NOTHING, "the router in front of the workers")
    dynamo: DynamoSection = may(DynamoSection(), "Dynamo's installation and planes")
    benchmark: Mapping = may(NOTHING, "what runs against the workers")
    profiling: ProfilingSection = may(ProfilingSection(), "profiling of the workers")
    health_check: HealthSection = may(HealthSection(), "the budget for readiness")
    infra: InfraSection = may(InfraSection(), "NATS and etcd")
    environment: Pairs = may(
        (), "environment of workers, frontends and benchmark; `{node}` and `{node_id}` are replaced"
    )
    env_from: tuple[str, ...] | None = may(
        None,
        "variables, such as `HF_TOKEN`, that only workers, frontends and benchmark get, "
        "from the submitter's environment or `secrets_file`",
    )
    container_mounts: Pairs = may(
        (), "mounts, host path to container path; `{log_dir}` and the like are replaced"
    )
    extra_mount: tuple[str, ...] | None = may(None, "mounts, each `host:container` or `host:container:flags`")
    srun_options: Pairs = may(
        (), "further srun options of workers and benchmark, without `--`; an empty value is a flag"
    )
    sbatch_directives: Pairs = may((), "further sbatch directives, without `--`; an empty value is a flag")
    setup_script: str | None = may(
        None, "script below the profile's `configs/` that each worker and frontend runs first"
    )
    host_setup: Data = may(None, "not supported")
    enable_config_dump: bool | None = may(None, "no effect, as in srtctl")
    output: Map = may(EMPTY, "no effect, as in srtctl")
    reporting: Mapping | None = may(None, "who is told how the job goes")
    identity: Map | None = may(None, "not compared with the running workers: a warning")
    observability: Mapping | None = may(None, "traces of Dynamo's own")
    telemetry: Map | None = may(None, "power is not sampled: a warning, or an error if it is `required`")
    lock: Map | None = may(None, "no effect: what srtctl recorded of an earlier run")
