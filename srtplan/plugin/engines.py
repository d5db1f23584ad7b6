"""The engine contract: what workers run, which ports they use, how they are reached, and how they report readiness.

Only ``command`` is required. By default, a worker runs one process per node. It serves OpenAI's API on one HTTP port and
answers ``GET /health`` there with status 200 once it is ready.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar, Literal, final

from attrs import frozen

from srtplan.diagnostics import Finding
from srtplan.ir.plan import EnvVar
from srtplan.ir.recipe import Recipe, Role
from srtplan.ir.shell import Word, Words
from srtplan.ir.topology import Endpoint, Process
from srtplan.plugin.base import O_co, Plugin, declare, typed_options
from srtplan.plugin.contexts import Command, JobContext
from srtplan.plugin.dynamo import dynamo_environment, dynamo_ports
from srtplan.plugin.ports import Port

Launch = Literal["process", "endpoint"]
"""One srun per process, or one srun across all nodes of a worker (MPI)."""


@frozen(kw_only=True, eq=False, repr=False)
class WorkerContext:
    """The context of one engine launch: a process, or a whole worker if ``launch`` is ``endpoint``."""

    job: JobContext
    """The job."""
    role: Role
    """The recipe's role of this worker: its mode, ``args``, ``extra_args``, ``env``."""
    endpoint: Endpoint
    """The worker: its mode, index, nodes and GPUs."""
    process: Process
    """The process that this step runs, or the leader if the step runs the whole worker."""
    peers: tuple[Process, ...]
    """All processes of the worker, by rank; ``peers[0]`` is the leader."""

    @property
    def model(self) -> str:
        """The path or id from which this worker loads the model: the copy on its node, if there is one."""
        return self.job.staged or self.job.model

    @property
    def http_port(self) -> int:
        """The port on which this process serves HTTP: its own port, or the public port for a leader without a frontend."""
        serves_clients = not self.job.frontends and self.process.leader
        return self.job.public_port if serves_clients else self.process.port("http")


@frozen(kw_only=True, eq=False, repr=False)
class Shape:
    """The processes of a worker: one per node, or one per GPU.

    ``ranks`` is the number of data-parallel ranks in each process; the rank of each process is a multiple of it.
    """

    per_gpu: bool = False
    ranks: int = 1


@frozen(kw_only=True)
class ProfileRequest:
    """What a worker records: ``type`` is torch, nsys or nsys-time; the window counts engine steps.

    ``directory`` receives the traces; the path is valid inside and outside the container.
    """

    type: str
    start_step: int
    stop_step: int
    directory: Word


@frozen(kw_only=True, eq=False, repr=False)
class Profile:
    """How a worker step records. ``start`` is the JSON body of the call that starts recording, or None for no call."""

    env: tuple[EnvVar, ...] = ()
    args: Words = ()
    start: str | None = None


class Engine(Plugin[O_co]):
    """One inference engine."""

    interfaces: ClassVar[tuple[str, ...]] = ("openai",)
    """How its workers can be reached. `dynamo`: through Dynamo's discovery; `openai`: each leader serves OpenAI's HTTP API
    on its `http` port; `sglang_http`, `trtllm_http`, `vllm_http`: the HTTP API of that engine."""
    client: ClassVar[str] = "aiperf"
    """The load generator in the engine's image: sglang, vllm, trtllm or aiperf. A missing aiperf is installed."""
    launch: ClassVar[Launch] = "process"
    """`process`: one srun per process. `endpoint`: one srun across all nodes of a worker, with one task per GPU (MPI)."""
    profilers: ClassVar[tuple[str, ...]] = ()
    """The supported values of `profiling.type`: torch, nsys, nsys-time."""
    health_path: ClassVar[str] = "/health"
    """The path that returns status 200 once a worker is ready."""

    def __init_subclass__(
        cls,
        *,
        name: str,
        interfaces: tuple[str, ...] = ("openai",),
        client: str = "aiperf",
        launch: Launch = "process",
        profilers: tuple[str, ...] = (),
        health_path: str = "/health",
    ) -> None:
        super().__init_subclass__()
        facts = {
            "name": name, "interfaces": interfaces, "client": client, "launch": launch, "profilers": profilers,
            "health_path": health_path,
        }  # fmt: skip
        declare(cls, Engine, facts)

    @abstractmethod
    def command(self, ctx: WorkerContext) -> Command:
        """Return what one worker step runs."""

    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Return engine-specific errors and warnings; paths start at `role.args_at` or `recipe.engine.at`.

        Default: none.
        """
        del recipe
        return ()

    def shape(self, recipe: Recipe, role: Role) -> Shape:
        """Return the processes of a worker. Default: one per node."""
        del recipe, role
        return Shape()

    def ports(self, recipe: Recipe, role: Role) -> tuple[Port, ...]:
        """Return the ports of a worker of this role.

        Default: one `http` port per process; `dynamo_ports` for an engine with the `dynamo` interface.
        """
        if self.speaks_dynamo:
            return dynamo_ports(recipe, role)
        return (Port(kind="http", stride=recipe.site.ports.http_stride),)

    def environment(self, ctx: WorkerContext) -> tuple[EnvVar, ...]:
        """Return environment variables of a worker; the recipe and `command` can override them.

        Default: none; `dynamo_environment` for an engine with the `dynamo` interface.
        """
        return dynamo_environment(ctx.job, ctx.process) if self.speaks_dynamo else ()

    def health_port(self, interface: str) -> str:
        """Return the kind of port that serves `health_path`, given the interface that the job uses.

        Default: `system` behind Dynamo, else `http`.
        """
        return "system" if interface == "dynamo" else "http"

    def shares_nodes(self, recipe: Recipe) -> bool:
        """Return whether prefill and decode workers may share nodes; the job then has only as many as they fill.

        Default: no.
        """
        del recipe
        return False

    def services(self, recipe: Recipe) -> tuple[str, ...]:
        """Return the names of services that its workers need in addition to those of the frontend. Default: none."""
        del recipe
        return ()

    def starts_at_once(self, recipe: Recipe) -> int:
        """Return how many workers per node start at a time; the next start once those are ready. 0 means all.

        Default: all.
        """
        del recipe
        return 0

    def gpus_used(self, recipe: Recipe, role: Role) -> tuple[int, str] | None:
        """Return how many GPUs a worker's options use, and the calculation: `(8, "TP 4 x PP 2")`. Default: None, unknown."""
        del recipe, role
        return None

    def served_name(self, recipe: Recipe) -> str | None:
        """Return the model name that the engine serves. Default: None, which means the last part of the model's path."""
        del recipe
        return None

    def instances(self, recipe: Recipe, role: Role) -> int:
        """Return how many instances the workers of a role register with the frontend. Default: one per worker."""
        del recipe
        return role.workers

    def profile(self, ctx: WorkerContext, request: ProfileRequest) -> Profile:
        """Return what a worker step needs for recording; called only for types in `profilers`. Default: nothing."""
        del ctx, request
        return Profile()

    @property
    def speaks_dynamo(self) -> bool:
        """Whether its workers can register with Dynamo."""
        return "dynamo" in self.interfaces

    @final
    def options_of(self, recipe: Recipe) -> O_co:
        """Return the recipe's options of this engine."""
        return typed_options(recipe.engine, self.options)
