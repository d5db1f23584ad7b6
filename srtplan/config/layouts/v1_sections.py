"""The sections of a v1 recipe: keys, types, defaults, and a one-line description of each for the reference.

In: nothing. Out: attrs classes that ``structure`` fills from the tree and ``v1`` lowers into a Recipe.
``docs/reference/recipe.md`` is generated from them. A section with a plugin (``backend``, ``frontend``,
``benchmark``) is a ``Mapping`` here, and its common fields have a separate class.
"""

# ruff: noqa: RUF009 -- may() and must() are attrs.field() with a description
# eq=False, repr=False: sections are only lowered, and each generated method costs a quarter millisecond at import.

from __future__ import annotations

from typing import Any, Literal

import attrs
from attrs import frozen

from srtplan.config.yaml.tree import Mapping, Origin, Spot
from srtplan.ir.data import EMPTY, Data, Map
from srtplan.ir.recipe import Pairs


def must(doc: str) -> Any:  # noqa: ANN401 -- attrs.field() is typed so, too
    """Return a required field."""
    return attrs.field(metadata={"doc": doc})


def may(default: object, doc: str) -> Any:  # noqa: ANN401
    """Return an optional field with its default."""
    return attrs.field(default=default, metadata={"doc": doc})


NOTHING = Mapping(Spot(Origin("default", "", is_file=False)), {})
"""An empty section."""


@frozen(kw_only=True, eq=False, repr=False)
class ModelSection:
    """The model and its container image."""

    path: str = must("directory of the model, an alias in `model_paths`, or `hf:<org>/<name>`")
    container: str = must("image file, image reference, or an alias in `containers`")
    precision: str = must("precision as free text, such as fp4, fp8 or bf16; for display only")
    stage_dir: str | None = may(None, "node-local directory to copy the model to before workers start")


@frozen(kw_only=True, eq=False, repr=False)
class ResourcesSection:
    """Nodes, workers and GPUs. Set `prefill_*` and `decode_*`, or `agg_*`."""

    gpu_type: str = must("GPU type as free text, such as `gb200`; some engines choose NUMA binding by it")
    gpus_per_node: int = may(4, "GPUs per node; `gpus_per_node` of the profile overrides this default")
    prefill_nodes: int | None = may(None, "number of nodes for prefill workers")
    decode_nodes: int | None = may(None, "number of nodes for decode workers; 0 shares the prefill nodes")
    prefill_workers: int | None = may(None, "number of prefill workers")
    decode_workers: int | None = may(None, "number of decode workers")
    agg_nodes: int | None = may(
        None, "number of nodes for aggregated workers; defaults to 1 if there are workers"
    )
    agg_workers: int | None = may(None, "number of aggregated workers")
    gpus_per_prefill: int | None = may(
        None, "GPUs per prefill worker; defaults to nodes x gpus_per_node / workers, rounded down"
    )
    gpus_per_decode: int | None = may(
        None,
        "GPUs per decode worker; defaults to nodes x gpus_per_node / workers, rounded down, or to "
        "the GPUs of a prefill worker on shared nodes",
    )
    gpus_per_agg: int | None = may(
        None, "GPUs per aggregated worker; defaults to nodes x gpus_per_node / workers, rounded down"
    )
    spread_workers: bool = may(default=False, doc="place workers smaller than a node on separate nodes")
    het_jobs: bool | None = may(
        None,
        "use a heterogeneous job with a Slurm component each for prefill and decode; defaults to `use_het_jobs` "
        "of the profile",
    )


@frozen(kw_only=True, eq=False, repr=False)
class SlurmSection:
    """Account, partition and time limit."""

    account: str | None = may(
        None, "Slurm account; defaults to `default_account` of the profile, then to Slurm's default"
    )
    partition: str | None = may(
        None, "Slurm partition; defaults to `default_partition` of the profile, then to Slurm's default"
    )
    time_limit: str | None = may(
        None,
        "time limit in a format of `sbatch --time`; defaults to `default_time_limit` of the profile, then to 01:00:00",
    )


@frozen(kw_only=True, eq=False, repr=False)
class BackendSection:
    """Fields of every engine. All other keys are options of the engine."""

    type: str = may("sglang", "engine")
    prefill_environment: Pairs = may((), "environment variables of prefill workers")
    decode_environment: Pairs = may((), "environment variables of decode workers")
    aggregated_environment: Pairs = may((), "environment variables of aggregated workers")
    prefill_extra_args: tuple[str, ...] = may((), "extra command line arguments of prefill workers")
    decode_extra_args: tuple[str, ...] = may((), "extra command line arguments of decode workers")
    aggregated_extra_args: tuple[str, ...] = may((), "extra command line arguments of aggregated workers")
    kv_events_config: KvEvents | bool | None = may(
        None, "KV cache events: `true` for prefill and decode workers, or a mapping by role"
    )


@frozen(kw_only=True, eq=False, repr=False)
class KvEvents:
    """KV cache events by role: `true`, or a mapping that overrides the engine's defaults (publisher, topic)."""

    prefill: Map | bool | None = may(None, "events of prefill workers")
    decode: Map | bool | None = may(None, "events of decode workers")
    aggregated: Map | bool | None = may(None, "events of aggregated workers")


@frozen(kw_only=True, eq=False, repr=False)
class EngineArgs:
    """Options of the engine's command line or configuration file, by role."""

    prefill: Map | None = may(None, "options of prefill workers")
    decode: Map | None = may(None, "options of decode workers")
    aggregated: Map | None = may(None, "options of aggregated workers")


@frozen(kw_only=True, eq=False, repr=False)
class FrontendCommon:
    """Fields of every frontend, in both layouts."""

    enable_multiple_frontends: bool = may(
        default=True, doc="run several frontends behind nginx if the job has enough nodes"
    )
    num_additional_frontends: int = may(9, "maximum number of frontends in addition to the first")
    nginx_container: str = may("nginx:1.27.4", "image of nginx, or an alias in `containers`")
    nginx_raise_ulimit: bool = may(default=False, doc="raise the limit of open files before nginx starts")
    nginx_session_affinity: bool = may(
        default=False, doc="send all requests of a session to the same frontend"
    )
    nginx_session_affinity_header: str = may(
        "X-Dynamo-Session-ID", "request header that identifies the session"
    )
    nginx_keepalive_timeout: str = may("600s", "`keepalive_timeout` of nginx")
    args: Map | None = may(None, "command line options of the frontend, passed in this order")
    env: Pairs | None = may(None, "environment variables of each frontend")


@frozen(kw_only=True, eq=False, repr=False)
class FrontendSection(FrontendCommon):
    """Fields of every frontend. All other keys are options of the type."""

    type: str = may("dynamo", "frontend")
    orchestrator_placement: Literal["head", "first_decode"] = may(
        "head", "node of a single frontend, without nginx"
    )
    dedicated_node: bool = may(default=False, doc="reserve a node for the frontend")


@frozen(kw_only=True, eq=False, repr=False)
class DynamoSection:
    """Installation of Dynamo in the container, and its planes."""

    install: bool = may(default=True, doc="install Dynamo; `false` if the image already contains it")
    version: str | None = may("0.8.0", "version to install from PyPI; quote it")
    hash: str | None = may(None, "git commit to build from")
    top_of_tree: bool = may(default=False, doc="build from the default branch at the time the job runs")
    wheel: str | None = may(None, "version of a prefetched wheel")
    cargo_patches: tuple[str, ...] = may(
        (),
        "lines `CRATE = SPECIFICATION`; each replaces a dependency in every Cargo.toml of the build; requires `hash`",
    )
    request_plane: Literal["nats", "tcp", "http"] = may("tcp", "transport of requests to the workers")
    event_plane: Literal["nats", "zmq"] | None = may(
        None, "transport of KV cache events; defaults to Dynamo's default"
    )


@frozen(kw_only=True, eq=False, repr=False)
class BenchmarkSection:
    """Fields of every benchmark. All other keys are options of the type."""

    type: str = may("manual", "benchmark; `manual` starts no client and serves until the job is stopped")
    client_placement: Literal["head", "last_decode"] = may("head", "node of the client")
    client_dedicated_node: bool = may(default=False, doc="reserve a node for the client")
    colocate_with_frontend: bool = may(
        default=True, doc="share one node among all dedicated roles; `false` reserves a node for each"
    )
    retries: int = may(0, "number of times to repeat a failed benchmark run, with the model still loaded")
    max_failed_share: float = may(0.05, "maximum share of failed requests, from 0 to 1, in a valid result")


@frozen(kw_only=True, eq=False, repr=False)
class WindowSection:
    """The steps that a profiler records."""

    start_step: int | None = may(None, "first recorded step")
    stop_step: int | None = may(None, "first step that is not recorded")


@frozen(kw_only=True, eq=False, repr=False)
class ProfilingSection:
    """Profiling of the workers while the benchmark runs."""

    type: Literal["none", "torch", "nsys", "nsys-time"] = may("none", "profiler")
    prefill: WindowSection | None = may(None, "recorded steps of prefill workers")
    decode: WindowSection | None = may(None, "recorded steps of decode workers")
    aggregated: WindowSection | None = may(None, "recorded steps of aggregated workers")
    delay_secs: int | None = may(None, "`nsys-time`: seconds before recording starts")
    duration_secs: int | None = may(None, "`nsys-time`: seconds to record")
    benchmark_duration_secs: int = may(300, "`nsys-time`: expected duration of the benchmark in seconds")
    extra_nsys_args: tuple[str, ...] = may((), "extra arguments of nsys")
    isl: int | None = may(None, "no effect; profiling records the requests of the benchmark")
    osl: int | None = may(None, "no effect; profiling records the requests of the benchmark")
    concurrency: int | None = may(None, "no effect; profiling records the requests of the benchmark")


@frozen(kw_only=True, eq=False, repr=False)
class HealthSection:
    """How long to wait for the workers to become ready: attempts x interval."""

    max_attempts: int = may(180, "maximum number of attempts")
    interval_seconds: int = may(10, "seconds between attempts")


@frozen(kw_only=True, eq=False, repr=False)
class InfraSection:
    """NATS and etcd."""

    etcd_nats_dedicated_node: bool = may(default=False, doc="reserve the first node for NATS and etcd")
    nats_max_payload_mb: int | None = may(None, "maximum size of a NATS message in MiB")


@frozen(kw_only=True, eq=False, repr=False)
class Document:
    """A v1 recipe."""

    name: str = must("job name, also in Slurm")
    model: ModelSection = must("model and container image")
    resources: ResourcesSection = must("nodes, workers and GPUs")
    slurm: SlurmSection = may(SlurmSection(), "account, partition and time limit")
    backend: Mapping = may(NOTHING, "engine and workers")
    frontend: Mapping = may(NOTHING, "router in front of the workers")
    dynamo: DynamoSection = may(DynamoSection(), "installation of Dynamo, and its planes")
    benchmark: Mapping = may(NOTHING, "benchmark to run against the workers")
    profiling: ProfilingSection = may(ProfilingSection(), "profiling of the workers")
    health_check: HealthSection = may(HealthSection(), "how long to wait for the workers to become ready")
    infra: InfraSection = may(InfraSection(), "NATS and etcd")
    environment: Pairs = may(
        (), "environment variables of workers, frontends and benchmark; `{node}` and `{node_id}` are expanded"
    )
    env_from: tuple[str, ...] | None = may(
        None,
        "names of variables, such as `HF_TOKEN`, to pass to workers, frontends and benchmark only; values come "
        "from the submitter's environment or `secrets_file`",
    )
    container_mounts: Pairs = may(
        (),
        "mounts as a mapping of host path to container path; placeholders such as `{log_dir}` are expanded",
    )
    extra_mount: tuple[str, ...] | None = may(
        None, "mounts as a list of `host:container` or `host:container:flags`"
    )
    srun_options: Pairs = may(
        (), "additional srun options of workers and benchmark, without `--`; an empty value means a flag"
    )
    sbatch_directives: Pairs = may(
        (), "additional sbatch directives, without `--`; an empty value means a flag"
    )
    setup_script: str | None = may(
        None, "script in the profile's `configs/` to run before each worker and frontend"
    )
    host_setup: Data = may(None, "not supported")
    enable_config_dump: bool | None = may(None, "no effect (srtctl ignores it, too)")
    output: Map = may(EMPTY, "no effect (srtctl ignores it, too)")
    reporting: Mapping | None = may(None, "services that receive the state of the job")
    identity: Map | None = may(
        None, "ignored with a warning: srtplan does not verify the versions of the workers"
    )
    observability: Mapping | None = may(None, "traces of Dynamo")
    telemetry: Map | None = may(
        None, "ignored with a warning: srtplan does not sample power; an error if `required` is set"
    )
    lock: Map | None = may(None, "no effect; srtctl records an earlier run here")
