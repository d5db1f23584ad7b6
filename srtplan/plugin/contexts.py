"""What every plugin is told about its job, and the command that most of them answer with.

Everything in a context is decided already (recipe, placement, ports, addresses as typed references). A plugin answers with
typed words; it never quotes, never sees a host name, never reads a file.
"""

from __future__ import annotations

from attrs import frozen

from srtplan.ir.plan import EnvVar, PlanFile, Run, SrunOption, StandIn
from srtplan.ir.recipe import Recipe
from srtplan.ir.shell import Word, Words
from srtplan.ir.topology import Process, Topology


@frozen(kw_only=True, eq=False, repr=False)
class Command:
    """What one step runs; the plan adds nodes, mounts and the rest."""

    argv: Words = ()
    """The command's words."""
    runs: tuple[Run, ...] = ()
    """Commands that run in turn, instead of ``argv``: a benchmark's."""
    env: tuple[EnvVar, ...] = ()
    """Its variables; those of the recipe override them."""
    srun: tuple[SrunOption, ...] = ()
    """Options of srun: ``SrunOption(name="mpi", value=Lit("pmix"))`` is ``--mpi=pmix``."""
    files: tuple[PlanFile, ...] = ()
    """Files of the bundle that it reads; one with references is written into the log directory once addresses are known."""
    preamble: tuple[Words, ...] = ()
    """Calls of library functions before the command."""
    image: str | None = None
    """Another image than the job's."""
    selects_gpus: bool = False
    """The command names its GPUs itself, so that no CUDA_VISIBLE_DEVICES is exported."""
    listens: tuple[int, ...] | None = None
    """Ports that the step opens on its node: the preflight checks that they are free. None: a worker's declared ports."""
    note: str = ""
    """A few words on the step, for people who read the bundle."""
    stand_in: StandIn = StandIn()  # noqa: RUF009 -- immutable
    """What a rehearsal runs in place of the program."""


@frozen(kw_only=True, eq=False, repr=False)
class JobContext:
    """What every plugin may know. Paths are those that a step of the job sees inside its container.

    Contexts are told apart by identity, so that a value computed once per job can be cached by its context.
    """

    recipe: Recipe
    """What the user asked for."""
    topology: Topology
    """Nodes, endpoints and processes."""
    served_model_name: str
    """The model's name for clients."""
    model: str
    """The model's directory, or its Hugging Face id."""
    staged: str | None
    """The model's copy on each worker node, if the recipe has it staged."""
    logs: Word
    """The log directory."""
    interface: str
    """How the frontend reaches the workers: ``dynamo``, ``openai``, ..."""
    health_port: str
    """The kind of port at which a worker answers health checks, calls of its engine, and requests for metrics."""
    frontends: tuple[tuple[int, int], ...]
    """(node, port) of every frontend behind the public port."""
    public_node: int
    """The node that clients reach."""
    public_port: int
    """The port that clients reach."""

    def answers_at(self, process: Process) -> int:
        """The port at which a worker answers health checks, calls of its engine, and requests for metrics."""
        return process.port(self.health_port) if self.frontends else self.public_port
