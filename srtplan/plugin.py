"""What an engine, frontend, benchmark, service and container runtime must offer, and how they are found.

A plugin is one module below ``srtplan/engines`` (``frontends``, ``benchmarks``, ``services``, ``runtimes``) with a
module-level object ``PLUGIN``, or an entry point ``srtplan.plugins`` of another distribution, named
``<kind>:<name>`` and leading to such an object. Its file name with ``_`` for ``-`` is its name.

A plugin gets a context with everything that is decided already (recipe, placement, ports, addresses as typed
references) and answers with typed words; it never quotes, never sees a host name, never reads a file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Literal, Protocol, cast, get_args

from attrs import frozen

from srtplan.diagnostics import Finding
from srtplan.ir.plan import Container, EnvVar, Mount, PlanFile, ProbeType, Run, SrunOption, StandIn
from srtplan.ir.recipe import Recipe, Role
from srtplan.ir.shell import JOB_ID, Word, Words, word
from srtplan.ir.topology import Endpoint, Process, Topology

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Kind = Literal["engine", "frontend", "benchmark", "service", "runtime"]
FOLDERS: dict[Kind, str] = {kind: f"{kind}s" for kind in get_args(Kind)}

Interface = Literal["dynamo", "sglang_http", "trtllm_http", "vllm_http"]
"""How a worker is reached: through Dynamo's discovery, or at its own HTTP port."""


@frozen(kw_only=True, eq=False, repr=False)
class Command:
    """What one step runs, as a plugin answers it; the plan stage adds nodes, mounts and the rest."""

    argv: Words = ()
    runs: tuple[Run, ...] = ()
    env: tuple[EnvVar, ...] = ()
    srun: tuple[SrunOption, ...] = ()
    files: tuple[PlanFile, ...] = ()
    preamble: tuple[Words, ...] = ()
    image: str | None = None
    """Another image than the job's."""
    selects_gpus: bool = False
    """The command names its GPUs itself, so that no CUDA_VISIBLE_DEVICES is exported."""
    listens: tuple[int, ...] = ()
    """Ports that the step opens on its node: the preflight looks whether they are free."""
    note: str = ""
    stand_in: StandIn = StandIn()  # noqa: RUF009 -- immutable
    """What a rehearsal runs instead; runs have their own."""


@frozen(kw_only=True, eq=False, repr=False)
class JobContext:
    """What every plugin may know. Paths are those that a step of the job sees inside its container.

    Contexts are told apart by identity, so that what is worked out once per job can be remembered by its context.
    """

    recipe: Recipe
    topology: Topology
    served_model_name: str
    model: str
    staged: str | None
    """The model's copy on each worker node, if the recipe has it staged."""
    logs: Word
    interface: Interface
    frontends: tuple[tuple[int, int], ...]
    """(node, port) of every frontend behind the public port."""
    public_node: int
    public_port: int


@frozen(kw_only=True, eq=False, repr=False)
class WorkerContext:
    """One launch of an engine: a process, or a whole endpoint where the engine asks for that."""

    job: JobContext
    role: Role
    endpoint: Endpoint
    process: Process
    """The process of this step; the leader where the step is the whole endpoint."""
    peers: tuple[Process, ...]
    """All processes of the endpoint, by rank; ``peers[0]`` is the leader."""

    @property
    def model(self) -> str:
        """Where this worker loads the model from: the copy on its node, if there is one."""
        return self.job.staged or self.job.model


@frozen(kw_only=True, eq=False, repr=False)
class FrontendContext:
    """One frontend process."""

    job: JobContext
    index: int
    node: int
    port: int


@frozen(kw_only=True, eq=False, repr=False)
class ServiceContext:
    """One service process on ``node``."""

    job: JobContext
    node: int


@frozen(kw_only=True, eq=False, repr=False)
class BenchmarkContext:
    """The benchmark client on ``node``; ``url`` is the public endpoint."""

    job: JobContext
    node: int
    url: Word
    client: str
    """The load generator of the engine: sglang, vllm, trtllm or aiperf."""


@frozen(kw_only=True)
class Input:
    """A data set, trace, wheel, or cache (``writable``). ``path`` is absolute, or an address; ``why`` names the field."""

    path: str
    why: str
    writable: bool = False


@frozen(kw_only=True, eq=False, repr=False)
class BenchmarkCommand:
    """``command`` is None for a job that serves until it is stopped. ``image`` None is the job's own image.

    An input that no mount of the job brings into the container is mounted at its own path, read-only unless it is writable.
    """

    command: Command | None
    parameters: tuple[tuple[str, str], ...] = ()
    image: str | None = None
    inputs: tuple[Input, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class Shape:
    """How a worker divides into processes. ``ranks`` are those inside one process (data-parallel ranks of a node).

    ``kv_block`` ports for KV events per process; ``nixl_block`` ports for NIXL per worker, shared by its
    processes, or 0 for one per process; ``rpc``: the worker's ranks meet at a port of its first node; ``kvbm``: the block
    manager of each process has a pair of ports.

    ``beside_http`` and ``beside_dist_init``: the engine opens more ports, so far above the HTTP port of a worker on one
    node, or above ``dist_init`` of a worker over several.
    """

    per_gpu: bool = False
    ranks: int = 1
    kv_block: int = 1
    nixl_block: int = 0
    rpc: bool = False
    kvbm: bool = False
    beside_http: tuple[int, ...] = ()
    beside_dist_init: tuple[int, ...] = ()


@frozen(kw_only=True)
class ProfileRequest:
    """What a worker shall record: ``type`` is torch, nsys or nsys-time, the window counts the engine's steps.

    ``directory`` is where its traces go, a path inside and outside the container.
    """

    type: str
    start_step: int
    stop_step: int
    directory: Word


@frozen(kw_only=True, eq=False, repr=False)
class Profile:
    """How one worker step records. ``start`` is the JSON body of the call that starts it; None where no call is needed."""

    env: tuple[EnvVar, ...] = ()
    args: Words = ()
    start: str | None = None


class Engine(Protocol):
    """One inference engine."""

    name: str
    options: type[object]
    interfaces: frozenset[Interface]
    client: str
    launch: Literal["process", "endpoint"]
    """One srun per process, or one over all nodes of an endpoint (MPI)."""
    ports: tuple[str, ...]
    """Kinds of ports that its processes need beyond those of every engine (system, http, kv_events, nixl, bootstrap)."""
    profilers: frozenset[str]
    """Types of profiling that it can be asked for."""

    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Faults that only this engine can see; paths start at ``role.args_at`` or ``recipe.engine.at``."""
        ...

    def shape(self, recipe: Recipe, role: Role) -> Shape:
        """How a worker divides into processes, and the ports they need."""
        ...

    def shares_nodes(self, recipe: Recipe) -> bool:
        """Prefill and decode workers may stand on one node, and get no more nodes than they fill."""
        ...

    def services(self, recipe: Recipe) -> tuple[str, ...]:
        """Names of the services that its workers need beside those of the frontend."""
        ...

    def starts_at_once(self, recipe: Recipe) -> int:
        """How many workers of a node start together, the next when those are ready; 0 for all."""
        ...

    def gpus_asked(self, recipe: Recipe, role: Role) -> tuple[int, str] | None:
        """GPUs that a worker's own parallelism options add up to, and how (``"TP 4 x PP 2"``); None if unsaid."""
        ...

    def port_base(self, role: Role, kind: str) -> int | None:
        """The first port of a kind, where the recipe's own options say it."""
        ...

    def served_name(self, recipe: Recipe) -> str | None:
        """The model name that the recipe gives the engine."""
        ...

    def instances(self, recipe: Recipe, role: Role) -> int:
        """How many instances the workers of a role register."""
        ...

    def command(self, ctx: WorkerContext) -> Command:
        """What one worker step runs."""
        ...

    def profile(self, ctx: WorkerContext, request: ProfileRequest) -> Profile:
        """What a worker step needs in order to record; asked only for types in ``profilers``."""
        ...


class Frontend(Protocol):
    """A router in front of the workers."""

    name: str
    options: type[object]
    interface: Interface
    probe: ProbeType
    health_path: str
    step_name: str
    installs_dynamo: bool
    reads: frozenset[str]
    """Fields of the recipe's `dynamo` that its workers are told of: request_plane, event_plane."""
    probes_workers: bool
    """Its own answer says nothing of the workers: each is asked at its HTTP port."""

    def processes(self, recipe: Recipe) -> bool:
        """It has processes of its own; otherwise the worker has the public port."""
        ...

    def services(self, recipe: Recipe) -> tuple[str, ...]:
        """Names of the services that must run, in start order."""
        ...

    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Faults that only this frontend can see."""
        ...

    def worker_env(self, job: JobContext) -> tuple[EnvVar, ...]:
        """Variables through which workers find the frontend."""
        ...

    def command(self, ctx: FrontendContext) -> Command:
        """What one frontend step runs."""
        ...


class Benchmark(Protocol):
    """A load generator, an evaluation, or nothing."""

    name: str
    options: type[object]

    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Missing and contradicting fields, before anything is queued."""
        ...

    def command(self, ctx: BenchmarkContext) -> BenchmarkCommand:
        """What the terminal step runs."""
        ...


OWN_NAME = word("srtplan-", JOB_ID)
"""What a service of this job is called, so that it can be told from another job's."""


class Service(Protocol):
    """A process beside the workers: NATS, etcd, ..."""

    name: str
    probe: ProbeType
    """How it is seen to listen; ``nats`` and ``etcd`` look for OWN_NAME in the answer."""

    def ports(self, recipe: Recipe) -> tuple[int, ...]:
        """Ports it listens on; the first is the one to wait for."""
        ...

    def command(self, ctx: ServiceContext) -> Command:
        """What the service step runs."""
        ...


class Runtime(Protocol):
    """How a step gets into its image."""

    name: str
    maps_paths: bool
    """Mount targets exist inside (/model, /logs); otherwise steps see the host's paths."""

    def srun(self, container: Container, mounts: tuple[Mount, ...]) -> tuple[SrunOption, ...]:
        """Options for srun."""
        ...


class UnknownPluginError(LookupError):
    """No plugin of that kind has that name; ``known`` are those that exist."""

    def __init__(self, kind: Kind, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"unknown {kind} '{name}'")
        self.known = known


@cache
def names(kind: Kind) -> tuple[str, ...]:
    """All plugins of a kind, by name; no plugin is imported."""
    return tuple(sorted({*own_names(kind)} | {e.name.partition(":")[2] for e in _external(kind)}))


@cache
def get(kind: Kind, name: str) -> object:
    """The plugin object; raises UnknownPluginError."""
    if name in own_names(kind):
        module: object = import_module(f"srtplan.{FOLDERS[kind]}.{name.replace('-', '_')}")
        return getattr(module, "PLUGIN")  # noqa: B009 -- the type is the caller's business
    for entry in _external(kind):
        if entry.name == f"{kind}:{name}":
            return entry.load()
    raise UnknownPluginError(kind, name, names(kind))


@cache
def own_names(kind: Kind) -> tuple[str, ...]:
    """The names of this project's modules; ``_`` in a file name is ``-`` in a recipe, but for the UNDERSCORED."""
    folder = os.path.join(os.path.dirname(__file__), FOLDERS[kind])  # noqa: PTH118, PTH120 -- pathlib costs 5 ms here
    stems = (f[:-3] for f in os.listdir(folder) if f.endswith(".py") and not f.startswith("_"))  # noqa: PTH208
    return tuple(sorted(s if s in UNDERSCORED else s.replace("_", "-") for s in stems))


UNDERSCORED = ("trtllm_serve",)


def engine(name: str) -> Engine:
    """An engine by name."""
    return cast("Engine", get("engine", name))


def frontend(name: str) -> Frontend:
    """A frontend by name."""
    return cast("Frontend", get("frontend", name))


def benchmark(name: str) -> Benchmark:
    """A benchmark by name."""
    return cast("Benchmark", get("benchmark", name))


def service(name: str) -> Service:
    """A service by name."""
    return cast("Service", get("service", name))


def runtime(name: str) -> Runtime:
    """A container runtime by name."""
    return cast("Runtime", get("runtime", name))


@cache
def _external(kind: Kind) -> tuple[EntryPoint, ...]:
    """Plugins of other distributions. Looked for only when a name is not our own: it costs 20 ms."""
    from importlib.metadata import entry_points  # noqa: PLC0415

    found = entry_points(group="srtplan.plugins")
    return tuple(e for e in found if e.name.startswith(f"{kind}:"))
