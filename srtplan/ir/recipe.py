"""The Recipe: the complete input of a job, independent of its layout.

Both layouts of srtctl (v1 and ``schema: 2``) become these types, with the defaults of recipe and cluster profile applied.
``at`` fields hold the path of a section in the document, so that later stages can report a position.
"""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen

from srtplan.diagnostics import Path
from srtplan.ir.data import EMPTY, Map, Noun

Mode = Literal["prefill", "decode", "agg"]
MODES: tuple[Mode, ...] = ("prefill", "decode", "agg")
MODE_KEYS: dict[Mode, str] = {"prefill": "prefill", "decode": "decode", "agg": "aggregated"}
"""The key of a mode in sections of a recipe such as ``sglang_config`` and ``profiling``."""
Pairs = tuple[tuple[str, str], ...]
SECRETS_FILE = "~/.srtplan-secrets"
"""In the home of the submitter. A file next to the recipes could be committed by accident."""


@frozen(kw_only=True, eq=False, repr=False)
class Source(Noun):
    """The origin of a recipe: path relative to the working directory, sha256 of its bytes, variant or None."""

    path: str
    sha256: str
    variant: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class Model(Noun):
    """``path`` is a directory on the cluster or ``hf:<org>/<name>``; ``container`` an image file or reference."""

    path: str
    container: str
    precision: str
    stage_dir: str | None = None

    @property
    def hub_id(self) -> str | None:
        """The Hugging Face id of an ``hf:`` model."""
        return self.path[3:] if self.path.startswith("hf:") else None


@frozen(kw_only=True, eq=False, repr=False)
class Restart(Noun):
    """Restart policy of a worker: all its processes restart together, on the same nodes, at most ``max_restarts`` times.

    The first restart waits ``backoff_s`` seconds. The delay doubles with each restart, up to ``max_backoff_s``.
    """

    policy: Literal["on-failure", "always"]
    max_restarts: int = 3
    backoff_s: int = 10
    max_backoff_s: int = 300


@frozen(kw_only=True, eq=False, repr=False)
class Role(Noun):
    """The workers of one mode. ``gpus`` is per worker. ``nodes`` is 0 if decode shares the prefill nodes."""

    mode: Mode
    nodes: int
    workers: int
    gpus: int
    args: Map = EMPTY
    args_at: Path = ()
    env: Pairs = ()
    env_at: Path = ()
    kv_events: Map | None = None
    kv_events_at: Path = ()
    extra_args: tuple[str, ...] = ()
    extra_args_at: Path = ()
    srun_options: Pairs = ()
    container: str | None = None
    critical: bool = True
    restart: Restart | None = None
    at: Path = ()


@frozen(kw_only=True, eq=False, repr=False)
class Resources(Noun):
    """``gpu_type`` is free text. ``roles`` has prefill and decode, or agg; only roles with workers."""

    gpu_type: str
    gpus_per_node: int
    roles: tuple[Role, ...]
    spread_workers: bool = False
    het_jobs: bool = False

    @property
    def disaggregated(self) -> bool:
        """Whether prefill and decode are separate workers."""
        return any(r.mode != "agg" for r in self.roles)

    def nodes_per_worker(self, role: Role) -> int:
        """Nodes that one worker of a role takes; a worker of less than a node's GPUs has one."""
        return max(1, role.gpus // self.gpus_per_node)

    def role(self, mode: Mode) -> Role | None:
        """Return the role of a mode, or None."""
        return next((r for r in self.roles if r.mode == mode), None)


WARNING_S = 60
"""Seconds before its time limit at which Slurm signals a job to stop."""


@frozen(kw_only=True, eq=False, repr=False)
class Slurm(Noun):
    """Queue and time limit; ``None`` means the default of Slurm."""

    account: str | None = None
    partition: str | None = None
    time_limit: str = "01:00:00"


@frozen(kw_only=True, eq=False, repr=False)
class MooncakeStore(Noun):
    """A Mooncake store shared by the workers: image, environment and extra arguments of its master."""

    container: str | None = None
    env: Pairs = ()
    master_extra_args: tuple[str, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class Engine(Noun):
    """The engine; ``options`` is an instance of the plugin's options class."""

    type: str
    options: object
    at: Path = ("backend",)


@frozen(kw_only=True, eq=False, repr=False)
class Frontend(Noun):
    """The common fields of a frontend; ``options`` is an instance of the plugin's options class."""

    type: str
    multiple: bool = True
    additional: int = 9
    nginx_container: str = "nginx:1.27.4"
    nginx_raise_ulimit: bool = False
    nginx_session_affinity: bool = False
    nginx_session_affinity_header: str = "X-Dynamo-Session-ID"
    nginx_keepalive_timeout: str = "600s"
    placement: Literal["head", "first_decode"] = "head"
    dedicated_node: bool = False
    args: Map = EMPTY
    env: Pairs = ()
    options: object = None
    at: Path = ("frontend",)


@frozen(kw_only=True, eq=False, repr=False)
class Dynamo(Noun):
    """Installation of Dynamo in the container, and its planes. At most one of the sources is set."""

    install: bool = True
    version: str | None = "0.8.0"
    hash: str | None = None
    top_of_tree: bool = False
    wheel: str | None = None
    cargo_patches: tuple[str, ...] = ()
    request_plane: Literal["nats", "tcp", "http"] = "tcp"
    event_plane: Literal["nats", "zmq"] | None = None


@frozen(kw_only=True, eq=False, repr=False)
class Benchmark(Noun):
    """The common fields of a benchmark; ``options`` is an instance of the plugin's options class."""

    type: str
    options: object
    client_placement: Literal["head", "last_decode"] = "head"
    client_dedicated_node: bool = False
    colocate_with_frontend: bool = True
    retries: int = 0
    max_failed_share: float = 0.05
    at: Path = ("benchmark",)


@frozen(kw_only=True, eq=False, repr=False)
class HealthCheck(Noun):
    """Time limit for readiness: ``max_attempts * interval_seconds``."""

    max_attempts: int = 180
    interval_seconds: int = 10

    @property
    def timeout_s(self) -> int:
        """The budget in seconds."""
        return self.max_attempts * self.interval_seconds


@frozen(kw_only=True, eq=False, repr=False)
class Infra(Noun):
    """NATS and etcd."""

    dedicated_node: bool = False
    nats_max_payload_mb: int | None = None


@frozen(kw_only=True, eq=False, repr=False)
class Window(Noun):
    """The steps that a profiler records."""

    start_step: int | None = None
    stop_step: int | None = None


@frozen(kw_only=True, eq=False, repr=False)
class Profiling(Noun):
    """``type`` is none, torch, nsys or nsys-time; a window per mode."""

    type: str = "none"
    windows: tuple[tuple[Mode, Window], ...] = ()
    delay_secs: int | None = None
    duration_secs: int | None = None
    benchmark_duration_secs: int = 300
    extra_nsys_args: tuple[str, ...] = ()
    at: Path = ("profiling",)


@frozen(kw_only=True, eq=False, repr=False)
class Reporting(Noun):
    """Base URLs of the status services that receive the state of the job."""

    endpoints: tuple[str, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class Observability(Noun):
    """Traces of Dynamo. ``otel`` exports spans to ``otel_endpoint``, or to Dynamo's default endpoint."""

    enabled: bool = False
    otel: bool = False
    otel_endpoint: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class MountRequest(Noun):
    """A mount that the recipe or profile requests (``origin``), with its flags (``ro``)."""

    source: str
    target: str
    origin: str
    flags: str = ""
    at: Path = ()


@frozen(kw_only=True, eq=False, repr=False)
class Ports(Noun):
    """The first port of every kind (see ``docs/reference/recipe.md``); strides are between two workers of a node."""

    http: int = 30000
    http_stride: int = 1
    bootstrap: int = 31000
    kv_events: int = 5550
    nixl: int = 6550
    system: int = 8081
    dist_init: int = 29500
    nccl: int = 17500
    dp_rpc: int = 13345
    kvbm: int = 7550
    vllm: int = 20000
    vllm_stride: int = 50
    frontend: int = 8000
    frontend_internal: int = 8080
    nats: int = 4222
    etcd: int = 2379
    etcd_peer: int = 2380
    mooncake_master: int = 8700
    mooncake_metadata: int = 8701
    mooncake_metrics: int = 8702
    ephemeral_floor: int = 32768


@frozen(kw_only=True, eq=False, repr=False)
class Site(Noun):
    """Settings of the cluster profile other than defaults of the recipe."""

    cluster: str | None = None
    runtime: str = "pyxis"
    network_interface: str | None = None
    gpus_per_node_directive: bool = True
    segment_directive: bool = True
    exclusive_directive: bool = False
    srtctl_root: str | None = None
    output_dir: str | None = None
    secrets_file: str = SECRETS_FILE
    bash_preamble: str = ""
    ports: Ports = field(factory=Ports)
    port_offset: int = 0
    """What ``--port-offset`` has added to ``ports``, and adds to first ports that a plugin declares itself."""


@frozen(kw_only=True, eq=False, repr=False)
class Recipe(Noun):
    """One job."""

    name: str
    source: Source
    model: Model
    resources: Resources
    slurm: Slurm
    engine: Engine
    frontend: Frontend
    dynamo: Dynamo
    benchmark: Benchmark
    site: Site
    health_check: HealthCheck = HealthCheck()
    infra: Infra = Infra()
    profiling: Profiling = Profiling()
    reporting: Reporting = Reporting()
    observability: Observability = Observability()
    environment: Pairs = ()
    env_from: tuple[str, ...] = ()
    mounts: tuple[MountRequest, ...] = ()
    srun_options: Pairs = ()
    sbatch_directives: Pairs = ()
    setup_script: str | None = None
