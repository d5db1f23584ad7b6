"""The Plan: the complete description of a job. ``to_json`` in ``plan/show/serialise.py`` writes its stable form.

A step is one launch (one srun). Steps start stage by stage. ``tier`` is the order of stopping (0 stops first). A critical
step must not end before the job does. The job ends when the terminal step ends. Steps of the stage ``prepare`` end before
workers start, critical ones with exit code 0. Workers of a ``wave`` are ready before the next wave starts.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from attrs import frozen

from srtplan.ir.data import Map, Noun, to_yaml
from srtplan.ir.recipe import SECRETS_FILE, Mode, Restart, Source
from srtplan.ir.shell import Lit, Word, Words
from srtplan.ir.topology import Endpoint, Nodes, Process

Stage = Literal["infra", "prepare", "worker", "frontend", "benchmark"]
STAGES: tuple[Stage, ...] = ("infra", "prepare", "worker", "frontend", "benchmark")
ProbeType = Literal["tcp", "nats", "etcd", "http", "dynamo_health", "sglang_workers"]
Verb = Literal["start", "await_ready", "await_end", "await_terminal", "serve"]


@frozen(kw_only=True, eq=False, repr=False)
class EnvVar(Noun):
    """A variable of a step; ``launch`` sets it in the environment of srun, where the container runtime reads it."""

    name: str
    value: Word
    launch: bool = False


@frozen(kw_only=True, eq=False, repr=False)
class Mount(Noun):
    """A mount; ``origin`` is what requested it: model, logs, bundle, run, configs, profile, recipe, ..."""

    source: Word
    target: Word
    origin: str
    flags: str = ""


@frozen(kw_only=True, eq=False, repr=False)
class Container(Noun):
    """An image and its container runtime; ``remap_root`` is for images that must run as root."""

    image: str
    runtime: str
    remap_root: bool = False


@frozen(kw_only=True, eq=False, repr=False)
class SrunOption(Noun):
    """``--name=value``, or the bare flag when value is None."""

    name: str
    value: Word | None = None


@frozen(kw_only=True, eq=False, repr=False)
class StandIn(Noun):
    """What a rehearsal runs in place of a program, which needs no GPU, model or network.

    ``program`` is the command word that is replaced, or the Python module after ``-m``; empty for the first word of the
    command, or the module where that word is Python. ``behavior`` names a module of ``srtplan/rehearsal/simulated``;
    ``server`` and ``client`` are generic, and ``real`` leaves the program itself in place. ``wrappers`` are command words
    in front of the program that run the rest of their command line. ``report`` is what the generic client writes to the
    result of its run. In a run, ``server`` means ``client``: a run has to end.
    """

    program: str = ""
    behavior: str = "server"
    wrappers: tuple[str, ...] = ()
    report: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class Run(Noun):
    """One command of a step that runs several in turn, such as the concurrencies of a benchmark.

    ``result`` must exist afterwards. ``client`` names its format, so that the library can check that it has tokens.
    ``facts`` describe the run to readers of the results (``concurrency``, ...).
    """

    name: str
    argv: Words
    result: Word | None = None
    client: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    stand_in: StandIn = StandIn()


@frozen(kw_only=True, eq=False, repr=False)
class Step(Noun):
    """One launch. Either ``argv`` or ``runs`` is set; ``preamble`` are calls of library functions before the command.

    ``srun`` has every option of its srun, in order. ``container`` and ``mounts`` repeat some of these options in structured
    form for readers; ``plan/verify.py`` checks that they agree.
    """

    name: str
    stage: Stage
    nodes: tuple[int, ...]
    argv: Words = ()
    runs: tuple[Run, ...] = ()
    srun: tuple[SrunOption, ...] = ()
    container: Container | None = None
    mounts: tuple[Mount, ...] = ()
    env: tuple[EnvVar, ...] = ()
    env_from: tuple[str, ...] = ()
    preamble: tuple[Words, ...] = ()
    critical: bool = True
    terminal: bool = False
    tier: int = 0
    stop_signal: str = "TERM"
    mode: Mode | None = None
    endpoint: int | None = None
    rank: int | None = None
    restart: Restart | None = None
    note: str = ""
    stand_in: StandIn = StandIn()

    @property
    def ntasks(self) -> int:
        """The number of tasks of its srun."""
        value = next((o.value for o in self.srun if o.name == "ntasks"), None)
        return int(value.text) if isinstance(value, Lit) else 1


@frozen(kw_only=True, eq=False, repr=False)
class Gate(Noun):
    """A wait: its probes run every ``interval_s`` seconds until all are ready, for at most ``timeout_s`` seconds.

    The gate ``serving`` has no probes of its own. While the job serves, the probes of ``health`` run at this interval, and
    the job ends when a probe has not been ready for ``timeout_s`` seconds.
    """

    name: str
    interval_s: int
    timeout_s: int


@frozen(kw_only=True, eq=False, repr=False)
class Probe(Noun):
    """A check that a step is ready, awaited at ``gate``. ``expect`` has the numbers of prefill and decode workers."""

    step: str
    type: ProbeType
    node: int
    port: int
    gate: str
    path: str = ""
    expect: tuple[tuple[str, int], ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class Action(Noun):
    """One action of the job: start the steps of a stage (only ``steps``, if any are named), or wait.

    ``subject`` is a stage (``start``, ``await_end``), a gate (``await_ready``) or a step (``await_terminal``).
    """

    verb: Verb
    subject: str = ""
    steps: tuple[str, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class PlanFile(Noun):
    """An input file of the job: text, or options that become YAML. Text is a word, so that references stay typed.

    ``run_time`` files contain references; job.sh writes them to LOG_DIR once the addresses are known.
    """

    path: str
    content: Word | Map
    run_time: bool = False

    @cached_property
    def text(self) -> Word:
        """The content of the file. YAML is rendered on demand: it is slow, and a check does not need it."""
        return Lit(to_yaml(self.content)) if isinstance(self.content, Map) else self.content


@frozen(kw_only=True, eq=False, repr=False)
class PreflightCheck(Noun):
    """A condition that every node in ``nodes`` must meet before anything starts.

    ``kind`` is dir, file, path (either), any (one of several files), url, port or gpus. ``subject`` is the path, the paths
    joined by ``:``, the address, the port or the count. ``why`` names the step or field.
    """

    kind: Literal["dir", "file", "path", "any", "url", "port", "gpus"]
    subject: str
    nodes: tuple[int, ...]
    why: str


@frozen(kw_only=True, eq=False, repr=False)
class BenchmarkPlan(Noun):
    """The type and resolved parameters of the benchmark, for display and comparison."""

    type: str
    node: int
    parameters: tuple[tuple[str, str], ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class Plan(Noun):
    """The plan of one job.

    ``export`` lists the submitter's variables that sbatch passes on: ``ALL``, ``NONE`` or names. Without ``ALL`` only
    declared variables reach the steps. ``time_limit_s`` is the time limit of the job, 0 for Slurm's default. Slurm sends
    USR1 ``warning_s`` seconds before it, or never if 0. Stopping takes at most ``stop_timeout_s`` seconds.
    """

    name: str
    recipe: Source
    served_model_name: str
    engine: str
    frontend: str
    sbatch: tuple[str, ...]
    nodes: Nodes
    endpoints: tuple[Endpoint, ...]
    processes: tuple[Process, ...]
    steps: tuple[Step, ...]
    sequence: tuple[Action, ...]
    gates: tuple[Gate, ...]
    probes: tuple[Probe, ...]
    files: tuple[PlanFile, ...]
    benchmark: BenchmarkPlan
    preflight: tuple[PreflightCheck, ...]
    url: Word
    output_base: str | None = None
    export: tuple[str, ...] = ("ALL",)
    secrets_file: str = SECRETS_FILE
    network_interface: str | None = None
    reports: tuple[str, ...] = ()
    time_limit_s: int = 0
    warning_s: int = 0
    stop_timeout_s: int = 25
