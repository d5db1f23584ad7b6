"""The sections of a ``schema: 2`` recipe where they differ from v1: roles, placement, Dynamo's source, services.

In: nothing. Out: attrs classes for ``structure``, lowered by ``schema2``, and the second half of
``docs/reference/recipe.md``.
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
    """What the nodes are; how many there are follows from `roles`."""

    gpu_type: str = may("", "free text such as `gb200`; the profile's `default_gpu_type` is the default")
    gpus_per_node: int = may(
        4, "GPUs of a node; the profile's `gpus_per_node` is the default where it has one"
    )
    spread_workers: bool = may(default=False, doc="one worker per node, where workers are smaller than nodes")
    het_jobs: bool | None = may(None, "two Slurm components, prefill and decode")


@frozen(kw_only=True, eq=False, repr=False)
class Restart2:
    """When a worker is started again. All its processes end and start together; after the last time `critical` decides."""

    policy: Literal["never", "on-failure", "always"] = may("on-failure", "`on-failure` is any code but 0")
    max_restarts: int = may(3, "how often")
    backoff_seconds: int = may(10, "seconds before the first time; each time twice as many")
    max_backoff_seconds: int = may(300, "but no more than these")


@frozen(kw_only=True, eq=False, repr=False)
class Role2:
    """The workers of one mode."""

    nodes: int | Literal["colocate"] | None = may(
        None, "nodes; `colocate` (decode only) shares the prefill nodes"
    )
    workers: int = must("workers")
    gpus: int | None = may(None, "GPUs of one worker; nodes x gpus_per_node / workers, rounded down")
    env: Pairs = may((), "environment")
    args: Map = may(EMPTY, "options of the engine's own command line or configuration file")
    extra_args: tuple[str, ...] = may((), "further words of its command line")
    kv_events: Map | bool | None = may(None, "KV cache events: true, or a mapping over the engine's defaults")
    srun_options: Pairs = may((), "srun options of this role, over those of the recipe")
    container: str | None = may(None, "image of this role, or an alias of `containers`")
    critical: bool = may(default=True, doc="the job ends when such a worker ends")
    engine: Data = may(None, "not supported: give the engine at the top")
    sidecar: Data = may(None, "not supported")
    restart: Literal["never", "on-failure", "always"] | Restart2 | None = may(
        None, "whether a worker that ends is started again: `on-failure` is any code but 0"
    )


@frozen(kw_only=True, eq=False, repr=False)
class Roles2:
    """Prefill and decode, or agg."""

    prefill: Role2 | None = may(None, "prefill workers")
    decode: Role2 | None = may(None, "decode workers")
    agg: Role2 | None = may(None, "aggregated workers")


@frozen(kw_only=True, eq=False, repr=False)
class FrontendPlacement:
    """Where the frontend runs."""

    node: Literal["head", "first_decode", "dedicated"] = may("head", "`dedicated` reserves a node")


@frozen(kw_only=True, eq=False, repr=False)
class Frontend2(FrontendCommon):
    """The common part of `frontend`; what is left belongs to the frontend's type."""

    type: str = may("dynamo", "the frontend; `sglang-router` is v1's `sglang`")
    placement: FrontendPlacement = may(FrontendPlacement(), "where it runs")
    worker_selection: Data = may(None, "not supported")
    container_image: Data = may(None, "not supported: frontends run in the model's image")
    numa_bind: bool = may(default=False, doc="not supported")


@frozen(kw_only=True, eq=False, repr=False)
class BenchmarkPlacement:
    """Where the client runs."""

    node: Literal["head", "last_decode", "dedicated"] = may("head", "`dedicated` reserves a node")


@frozen(kw_only=True, eq=False, repr=False)
class Benchmark2:
    """The common part of `benchmark`; what is left belongs to its type."""

    type: str = may("manual", "the benchmark; `manual` serves until it is stopped")
    placement: BenchmarkPlacement = may(BenchmarkPlacement(), "where the client runs")
    colocate_with_frontend: bool = may(
        default=True, doc="all dedicated roles share one node; false: one each"
    )
    retries: int = may(
        0, "how often a run of the benchmark that failed is tried again, with the model still loaded"
    )
    max_failed_share: float = may(0.05, "share of failed requests above which a run is no result")


@frozen(kw_only=True, eq=False, repr=False)
class DynamoSource:
    """One of PyPI, a prefetched wheel, a git commit."""

    pypi: str | None = may(None, "version on PyPI")
    wheel: str | None = may(None, "version of a prefetched wheel")
    git: str | None = may(None, "Dynamo's own repository, with `rev`")
    rev: str | None = may(None, "git commit")


@frozen(kw_only=True, eq=False, repr=False)
class Dynamo2:
    """How Dynamo gets into the container, and its planes."""

    install: bool = may(default=True, doc="false: the container has Dynamo already")
    source: DynamoSource | None = may(None, "where it comes from; PyPI 0.8.0 if unset")
    top_of_tree: bool = may(default=False, doc="build from the default branch, as it is when the job runs")
    patches: tuple[str, ...] = may((), "patches of a source build; needs `source.rev`")
    request_plane: Literal["nats", "tcp", "http"] = may("tcp", "how requests reach the workers")
    event_plane: Literal["nats", "zmq"] | None = may(None, "how KV events travel; Dynamo's default if unset")


@frozen(kw_only=True, eq=False, repr=False)
class ServicePlacement:
    """Where a service runs."""

    node: str = may("head", "`head`, `infra` or `dedicated`")


@frozen(kw_only=True, eq=False, repr=False)
class ServiceOptions:
    """Options of `nats` and `etcd`."""

    max_payload_mb: int | None = may(None, "largest NATS message in MiB")


@frozen(kw_only=True, eq=False, repr=False)
class Service2:
    """NATS or etcd. What else a service of srtctl 2 can say is refused."""

    name: str | None = may(None, "name")
    type: str = must("`etcd` or `nats`")
    enabled: bool = may(default=True, doc="false is not supported: what the frontend needs is started")
    placement: ServicePlacement = may(
        ServicePlacement(), "where it runs: both on the dedicated node, or both on the head"
    )
    options: ServiceOptions = may(ServiceOptions(), "its options")


@frozen(kw_only=True, eq=False, repr=False)
class Document2:
    """A recipe with `schema: 2`, the layout of srtctl 2.x."""

    schema: Literal[2] = must("2")
    name: str = must("name of the job, also in Slurm")
    model: ModelSection = must("the model")
    engine: Mapping | str = must("the engine, or a mapping of its `type` and its options")
    roles: Roles2 = must("nodes, workers, options and environment of the roles")
    resources: Resources2 = may(Resources2(), "what the nodes are")
    slurm: SlurmSection = may(SlurmSection(), "queue and time limit")
    frontend: Mapping = may(NOTHING, "the router in front of the workers")
    dynamo: Dynamo2 = may(Dynamo2(), "Dynamo's installation and planes")
    benchmark: Mapping = may(NOTHING, "what runs against the workers")
    profiling: ProfilingSection = may(ProfilingSection(), "profiling of the workers")
    health_check: HealthSection = may(HealthSection(), "the budget for readiness")
    services: tuple[Mapping, ...] = may(
        (), "NATS and etcd, where they need a node or a limit; other services are not supported"
    )
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
    post_eval: Data = may(None, "not supported")
    enable_config_dump: bool | None = may(None, "no effect, as in srtctl")
    output: Map = may(EMPTY, "no effect, as in srtctl")
    reporting: Mapping | None = may(None, "who is told how the job goes")
    identity: Map | None = may(None, "not compared with the running workers: a warning")
    observability: Mapping | None = may(None, "traces of Dynamo's own")
    telemetry: Map | None = may(None, "power is not sampled: a warning, or an error if it is `required`")
