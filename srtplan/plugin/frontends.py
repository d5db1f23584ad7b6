"""The contract of a frontend: how it reaches workers, what it runs, and how it is asked whether the job is ready."""

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
    """One frontend process."""

    job: JobContext
    index: int
    node: int
    port: int


class Frontend(Plugin[O_co]):
    """A router in front of the workers."""

    interfaces: ClassVar[tuple[str, ...]] = ()
    """The interfaces of workers that it can reach, the preferred one first; a job uses the first that its engine has."""
    probe: ClassVar[ProbeType] = "http"
    """How it is asked whether all workers are ready: `http` (status 200), `dynamo_health`, `sglang_workers`."""
    health_path: ClassVar[str] = "/health"
    """The path that the probe asks."""
    step_name: ClassVar[str] = "frontend"
    """The name of its steps, before a number."""
    installs_dynamo: ClassVar[bool] = False
    """`dynamo.install` puts Dynamo into the containers of frontends and workers."""
    reads: ClassVar[tuple[str, ...]] = ()
    """Keys of the recipe's `dynamo` section that its workers are told: request_plane, event_plane."""
    probes_workers: ClassVar[bool] = False
    """Its own answer says nothing about the workers: each worker is probed, too."""

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
        """Return whether it has processes of its own; otherwise the one worker serves at the public port. Default: yes."""
        del recipe
        return True

    def services(self, recipe: Recipe) -> tuple[str, ...]:
        """Return names of the services that must run, in start order. Default: none."""
        del recipe
        return ()

    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Return errors and warnings that only this frontend can find. Default: none."""
        del recipe
        return ()

    def worker_env(self, job: JobContext) -> tuple[EnvVar, ...]:
        """Return variables through which workers find the frontend. Default: none."""
        del job
        return ()

    @final
    def options_of(self, recipe: Recipe) -> O_co:
        """Return the recipe's options of this frontend."""
        return typed_options(recipe.frontend, self.options)
