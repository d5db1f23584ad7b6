"""A recipe under construction: the sections that could be structured, and all findings.

In: a structured document of either layout. Out: once there is no error, ``draft.recipe(source, site)``. Rules read a
draft and skip fields that are None, so an invalid section does not hide problems of other sections.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as Dict

from attrs import Factory, define, frozen

from srtplan import plugin
from srtplan.diagnostics import Finding, Path
from srtplan.ir.recipe import (
    Benchmark,
    Dynamo,
    Engine,
    Frontend,
    HealthCheck,
    Infra,
    Mode,
    Model,
    MountRequest,
    Observability,
    Pairs,
    Profiling,
    Recipe,
    Reporting,
    Resources,
    Role,
    Site,
    Slurm,
    Source,
)

REMEDY = "remove it, or run this recipe with srtctl"
"""The help for settings that only srtctl supports."""


@frozen(kw_only=True, eq=False, repr=False)
class Context:
    """The input of lowering in addition to the document."""

    environ: Dict[str, str]
    models: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    has_profile: bool = False
    runtime: str = "pyxis"


@frozen(kw_only=True, eq=False, repr=False)
class Counts:
    """Nodes, workers and GPUs per worker of one mode as the document sets them, with their paths."""

    mode: Mode
    nodes: int | None
    workers: int | None
    gpus: int | None
    nodes_at: Path
    workers_at: Path
    gpus_at: Path

    @property
    def present(self) -> bool:
        """Whether the document requests workers or nodes of this mode."""
        return bool(self.workers) or bool(self.nodes)


@define(kw_only=True, eq=False, repr=False)
class Draft:
    """The fields of a Recipe; None marks an invalid section."""

    context: Context
    findings: list[Finding] = Factory(list)
    name: str | None = None
    model: Model | None = None
    counts: tuple[Counts, ...] | None = None
    gpus_per_node: int | None = None
    resources: Resources | None = None
    idle_roles: tuple[Role, ...] = ()
    """Roles with settings but without workers."""
    slurm: Slurm | None = None
    engine: Engine | None = None
    frontend: Frontend | None = None
    dynamo: Dynamo | None = None
    benchmark: Benchmark | None = None
    health_check: HealthCheck | None = None
    infra: Infra | None = None
    profiling: Profiling | None = None
    reporting: Reporting | None = None
    observability: Observability | None = None
    environment: Pairs | None = None
    env_from: tuple[str, ...] = ()
    mounts: tuple[MountRequest, ...] = ()
    srun_options: Pairs | None = None
    sbatch_directives: Pairs | None = None
    setup_script: str | None = None

    def error(self, rule: str, path: Path, message: str, *, hint: str = "", on_key: bool = False) -> None:
        """Add an error."""
        self.findings.append(Finding(rule=rule, path=path, message=message, help=hint, on_key=on_key))

    def recipe(self, source: Source, site: Site) -> tuple[Recipe, frozenset[str]]:
        """Return the Recipe, and the names of invalid sections, for which it holds stand-ins."""
        missing = frozenset(name for name in _STANDINS if getattr(self, name) is None)
        names = [a.name for a in Recipe.__attrs_attrs__ if a.name not in ("source", "site")]
        parts = {n: _STANDINS[n]() if n in missing else getattr(self, n) for n in names}
        return Recipe(source=source, site=site, **parts), missing  # type: ignore[arg-type]


def _engine() -> Engine:
    return Engine(type="sglang", options=plugin.engine("sglang").options())


def _benchmark() -> Benchmark:
    return Benchmark(type="manual", options=plugin.benchmark("manual").options())


_STANDINS: dict[str, Callable[[], object]] = {
    "name": lambda: "job",
    "model": lambda: Model(path="/model", container="/image", precision=""),
    "resources": lambda: Resources(gpu_type="", gpus_per_node=8, roles=()),
    "slurm": Slurm,
    "engine": _engine,
    "frontend": lambda: Frontend(type="dynamo"),
    "dynamo": Dynamo,
    "benchmark": _benchmark,
    "health_check": HealthCheck,
    "infra": Infra,
    "profiling": Profiling,
    "reporting": Reporting,
    "observability": Observability,
    "environment": tuple,
    "srun_options": tuple,
    "sbatch_directives": tuple,
}
"""Stand-ins for invalid sections, so that plugins can check the valid ones."""
