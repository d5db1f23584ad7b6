"""The job context that plugins receive, and the command that most of them return.

A context holds final values: the recipe, placement, ports, and addresses as typed references. A plugin returns typed words;
it never quotes, sees a host name, or reads a file.
"""

from __future__ import annotations

from attrs import frozen

from srtplan.ir.plan import EnvVar, PlanFile, Run, SrunOption, StandIn
from srtplan.ir.recipe import Recipe
from srtplan.ir.shell import Word, Words
from srtplan.ir.topology import Process, Topology


@frozen(kw_only=True, eq=False, repr=False)
class Command:
    """What one step runs; srtplan adds nodes, mounts and the rest."""

    argv: Words = ()
    """The command line."""
    runs: tuple[Run, ...] = ()
    """Commands that a benchmark runs one after another, instead of ``argv``."""
    env: tuple[EnvVar, ...] = ()
    """Environment variables; those of the recipe override them."""
    srun: tuple[SrunOption, ...] = ()
    """Options of srun: ``SrunOption(name="mpi", value=Lit("pmix"))`` is ``--mpi=pmix``."""
    files: tuple[PlanFile, ...] = ()
    """Bundle files that the command reads. A file with references is written to the log directory when
    addresses are known."""
    preamble: tuple[Words, ...] = ()
    """Calls of library functions that run before the command."""
    image: str | None = None
    """A container image that replaces the job's."""
    selects_gpus: bool = False
    """Whether the command selects its GPUs itself; CUDA_VISIBLE_DEVICES is then not exported."""
    listens: tuple[int, ...] | None = None
    """Ports that the step opens on its node; the preflight checks that they are free. None: the worker's declared ports."""
    note: str = ""
    """A short description of the step, for readers of the bundle."""
    stand_in: StandIn = StandIn()  # noqa: RUF009 -- immutable
    """What a rehearsal runs in place of the program."""


@frozen(kw_only=True, eq=False, repr=False)
class JobContext:
    """The job as every plugin sees it. Paths are valid inside the job's containers.

    Contexts compare by identity, so that values computed once per job can be cached by context.
    """

    recipe: Recipe
    """The recipe."""
    topology: Topology
    """Nodes, endpoints and processes."""
    served_model_name: str
    """The model name that clients use."""
    model: str
    """The model's directory, or its Hugging Face id."""
    staged: str | None
    """The model's copy on each worker node, if the recipe stages the model."""
    logs: Word
    """The log directory."""
    interface: str
    """How the frontend reaches the workers: ``dynamo``, ``openai``, ..."""
    health_port: str
    """The kind of port on which a worker serves health checks, engine calls and metrics."""
    frontends: tuple[tuple[int, int], ...]
    """(node, port) of every frontend behind the public port."""
    public_node: int
    """The node that clients connect to."""
    public_port: int
    """The port that clients connect to."""

    def control_port(self, process: Process) -> int:
        """Return the port on which a worker serves health checks, engine calls and metrics."""
        return process.port(self.health_port) if self.frontends else self.public_port
