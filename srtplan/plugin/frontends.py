"""The frontend contract: how it reaches workers, what it runs, and how it reports readiness."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar, final

from attrs import frozen

from srtplan.diagnostics import Finding
from srtplan.ir.plan import EnvVar, ProbeType
from srtplan.ir.recipe import Recipe
from srtplan.plugin.base import O_co, Plugin, declare, typed_options
from srtplan.plugin.contexts import Command, JobContext


@frozen(kw_only=True, eq=False, repr=False)
class FrontendContext:
    """The context of one frontend process."""

    job: JobContext
    index: int
    node: int
    port: int


class Frontend(Plugin[O_co]):
    """A router in front of the workers."""

    interfaces: ClassVar[tuple[str, ...]] = ()
    """The worker interfaces that it supports, preferred ones first; a job uses the first one that its engine offers."""
    probe: ClassVar[ProbeType] = "http"
    """The probe that checks whether all workers are ready: `http` (status 200), `dynamo_health` or `sglang_workers`."""
    health_path: ClassVar[str] = "/health"
    """The path that the probe requests."""
    step_name: ClassVar[str] = "frontend"
    """The name of its steps, followed by a number."""
    installs_dynamo: ClassVar[bool] = False
    """Whether `dynamo.install` installs Dynamo in the containers of frontends and workers."""
    reads: ClassVar[tuple[str, ...]] = ()
    """Keys of the recipe's `dynamo` section that are passed to its workers: request_plane, event_plane."""
    probes_workers: ClassVar[bool] = False
    """Whether each worker is probed as well, because the frontend's own answer does not cover the workers."""

    def __init_subclass__(
        cls,
        *,
        name: str,
        interfaces: tuple[str, ...],
        probe: ProbeType = "http",
        health_path: str = "/health",
        step_name: str = "frontend",
        installs_dynamo: bool = False,
        reads: tuple[str, ...] = (),
        probes_workers: bool = False,
    ) -> None:
        super().__init_subclass__()
        facts = {
            "name": name, "interfaces": interfaces, "probe": probe, "health_path": health_path,
            "step_name": step_name, "installs_dynamo": installs_dynamo, "reads": reads,
            "probes_workers": probes_workers,
        }  # fmt: skip
        declare(cls, Frontend, facts)

    @abstractmethod
    def command(self, ctx: FrontendContext) -> Command:
        """Return what one frontend step runs."""

    def processes(self, recipe: Recipe) -> bool:
        """Return whether it runs processes; if not, the only worker serves on the public port. Default: yes."""
        del recipe
        return True

    def services(self, recipe: Recipe) -> tuple[str, ...]:
        """Return the names of required services, in start order. Default: none."""
        del recipe
        return ()

    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Return frontend-specific errors and warnings. Default: none."""
        del recipe
        return ()

    def worker_env(self, job: JobContext) -> tuple[EnvVar, ...]:
        """Return environment variables that tell workers where the frontend is. Default: none."""
        del job
        return ()

    @final
    def options_of(self, recipe: Recipe) -> O_co:
        """Return the recipe's options of this frontend."""
        return typed_options(recipe.frontend, self.options)
