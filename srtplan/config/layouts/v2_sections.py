"""The sections of a ``schema: 2`` recipe that differ from v1: roles, placement, Dynamo's source, services.

In: nothing. Out: attrs classes for ``structure``, lowered by ``v2``, and the second half of ``docs/reference/recipe.md``.
"""

# ruff: noqa: RUF009 -- may() and must() are attrs.field() with a description

from __future__ import annotations

from typing import Literal

from attrs import frozen

from srtplan.config.layouts.v1_sections import (
    NOTHING,
    FrontendCommon,
    HealthSection,
    ModelSection,
    ProfilingSection,
    SlurmSection,
    may,
    must,
)
from srtplan.config.yaml.tree import Mapping
from srtplan.ir.data import EMPTY, Data, Map
from srtplan.ir.recipe import Pairs


@frozen(kw_only=True, eq=False, repr=False)
class Resources2:
    """Properties of the nodes. Their number is set in `roles`."""

    gpu_type: str = may(
        "", "GPU type as free text, such as `gb200`; defaults to `default_gpu_type` of the profile"
    )
    gpus_per_node: int = may(4, "GPUs per node; `gpus_per_node` of the profile overrides this default")
    spread_workers: bool = may(default=False, doc="place workers smaller than a node on separate nodes")
    het_jobs: bool | None = may(
        None,
        "use a heterogeneous job with a Slurm component each for prefill and decode; defaults to `use_het_jobs` "
        "of the profile",
    )


@frozen(kw_only=True, eq=False, repr=False)
class Restart2:
    """Restarts of a worker that ends. All its processes restart together. After the last restart, `critical` applies."""

    policy: Literal["never", "on-failure", "always"] = may(
        "on-failure", "when to restart; `on-failure` means any exit code but 0"
    )
    max_restarts: int = may(3, "maximum number of restarts")
    backoff_seconds: int = may(10, "seconds before the first restart; doubles with each restart")
    max_backoff_seconds: int = may(300, "maximum seconds before a restart")


@frozen(kw_only=True, eq=False, repr=False)
class Role2:
    """The workers of one mode."""

    nodes: int | Literal["colocate"] | None = may(
        None, "number of nodes; `colocate` (decode only) shares the prefill nodes"
    )
    workers: int = must("number of workers")
    gpus: int | None = may(None, "GPUs per worker; defaults to nodes x gpus_per_node / workers, rounded down")
    env: Pairs = may((), "environment variables")
    args: Map = may(EMPTY, "options of the engine's command line or configuration file")
    extra_args: tuple[str, ...] = may((), "extra command line arguments")
    kv_events: Map | bool | None = may(
        None, "KV cache events: `true`, or a mapping that overrides the engine's defaults"
    )
    srun_options: Pairs = may((), "srun options of this role; override those of the recipe")
    container: str | None = may(None, "image of this role, or an alias in `containers`")
    critical: bool = may(default=True, doc="end the job when a worker of this role ends")
    engine: Data = may(None, "not supported; set the engine at the top level")
    sidecar: Data = may(None, "not supported")
    restart: Literal["never", "on-failure", "always"] | Restart2 | None = may(
        None, "whether to restart a worker that ends; `on-failure` means any exit code but 0"
    )


@frozen(kw_only=True, eq=False, repr=False)
class Roles2:
    """The workers by role: `prefill` and `decode`, or `agg`."""

    prefill: Role2 | None = may(None, "prefill workers")
    decode: Role2 | None = may(None, "decode workers")
    agg: Role2 | None = may(None, "aggregated workers")


@frozen(kw_only=True, eq=False, repr=False)
class FrontendPlacement:
    """The node of the frontend."""

    node: Literal["head", "first_decode", "dedicated"] = may(
        "head", "node of the frontend; `dedicated` reserves a node"
    )


@frozen(kw_only=True, eq=False, repr=False)
class Frontend2(FrontendCommon):
    """Fields of every frontend. All other keys are options of the type."""

    type: str = may("dynamo", "frontend; `sglang-router` is called `sglang` in v1")
    placement: FrontendPlacement = may(FrontendPlacement(), "node of the frontend")
    worker_selection: Data = may(None, "not supported")
    container_image: Data = may(None, "not supported; frontends run in the image of the model")
    numa_bind: bool = may(default=False, doc="not supported")


@frozen(kw_only=True, eq=False, repr=False)
class BenchmarkPlacement:
    """The node of the client."""

    node: Literal["head", "last_decode", "dedicated"] = may(
        "head", "node of the client; `dedicated` reserves a node"
    )


@frozen(kw_only=True, eq=False, repr=False)
class Benchmark2:
    """Fields of every benchmark. All other keys are options of the type."""

    type: str = may("manual", "benchmark; `manual` starts no client and serves until the job is stopped")
    placement: BenchmarkPlacement = may(BenchmarkPlacement(), "node of the client")
    colocate_with_frontend: bool = may(
        default=True, doc="share one node among all dedicated roles; `false` reserves a node for each"
    )
    retries: int = may(0, "number of times to repeat a failed benchmark run, with the model still loaded")
    max_failed_share: float = may(0.05, "maximum share of failed requests, from 0 to 1, in a valid result")


@frozen(kw_only=True, eq=False, repr=False)
class DynamoSource:
    """Where Dynamo comes from: PyPI, a prefetched wheel, or a git commit."""

    pypi: str | None = may(None, "version to install from PyPI")
    wheel: str | None = may(None, "version of a prefetched wheel")
    git: str | None = may(None, "repository to build from, which must be Dynamo's own; requires `rev`")
    rev: str | None = may(None, "git commit to build from; requires `git`")


@frozen(kw_only=True, eq=False, repr=False)
class Dynamo2:
    """Installation of Dynamo in the container, and its planes."""

    install: bool = may(default=True, doc="install Dynamo; `false` if the image already contains it")
    source: DynamoSource | None = may(None, "where Dynamo comes from; defaults to version 0.8.0 from PyPI")
    top_of_tree: bool = may(default=False, doc="build from the default branch at the time the job runs")
    patches: tuple[str, ...] = may(
        (),
        "lines `CRATE = SPECIFICATION`; each replaces a dependency in every Cargo.toml of the build; requires "
        "`source.rev`",
    )
    request_plane: Literal["nats", "tcp", "http"] = may("tcp", "transport of requests to the workers")
    event_plane: Literal["nats", "zmq"] | None = may(
        None, "transport of KV cache events; defaults to Dynamo's default"
    )


@frozen(kw_only=True, eq=False, repr=False)
class ServicePlacement:
    """The node of a service."""

    node: str = may("head", "node of the service: `head`, `infra` or `dedicated`")


@frozen(kw_only=True, eq=False, repr=False)
class ServiceOptions:
    """Options of `nats` and `etcd`."""

    max_payload_mb: int | None = may(None, "maximum size of a NATS message in MiB")


@frozen(kw_only=True, eq=False, repr=False)
class Service2:
    """NATS or etcd. Other services and keys of srtctl 2 are errors."""

    name: str | None = may(None, "name of the service")
    type: str = must("type of the service: `etcd` or `nats`")
    enabled: bool = may(
        default=True, doc="`false` is not supported: a service starts if the frontend needs it"
    )
    placement: ServicePlacement = may(
        ServicePlacement(),
        "node of the service; NATS and etcd are both on the dedicated node, or both on the head node",
    )
    options: ServiceOptions = may(ServiceOptions(), "options of the service")


@frozen(kw_only=True, eq=False, repr=False)
class Document2:
    """A recipe with `schema: 2`, the layout of srtctl 2.x."""

    schema: Literal[2] = must("number of the layout")
    name: str = must("job name, also in Slurm")
    model: ModelSection = must("model and container image")
    engine: Mapping | str = must("engine, or a mapping with its `type` and options")
    roles: Roles2 = must("nodes, workers, options and environment of the roles")
    resources: Resources2 = may(Resources2(), "properties of the nodes")
    slurm: SlurmSection = may(SlurmSection(), "account, partition and time limit")
    frontend: Mapping = may(NOTHING, "router in front of the workers")
    dynamo: Dynamo2 = may(Dynamo2(), "installation of Dynamo, and its planes")
    benchmark: Mapping = may(NOTHING, "benchmark to run against the workers")
    profiling: ProfilingSection = may(ProfilingSection(), "profiling of the workers")
    health_check: HealthSection = may(HealthSection(), "how long to wait for the workers to become ready")
    services: tuple[Mapping, ...] = may(
        (), "placement and options of NATS and etcd; other services are not supported"
    )
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
    post_eval: Data = may(None, "not supported")
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
