"""The service contract: a process that workers or frontends need, such as NATS or etcd."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from attrs import frozen

from srtplan.ir.plan import ProbeType
from srtplan.ir.recipe import Recipe
from srtplan.ir.shell import JOB_ID, word
from srtplan.plugin.base import NoOptions, Plugin, declare
from srtplan.plugin.contexts import Command, JobContext

OWN_NAME = word("srtplan-", JOB_ID)
"""The name of this job's services, which distinguishes them from those of other jobs."""


@frozen(kw_only=True, eq=False, repr=False)
class ServiceContext:
    """The context of a service process on ``node``."""

    job: JobContext
    node: int


class Service(Plugin[NoOptions]):
    """A process that workers or frontends need, such as NATS or etcd."""

    probe: ClassVar[ProbeType] = "tcp"
    """The readiness probe: `tcp` (a connection), or `nats` or `etcd` (an answer that contains OWN_NAME)."""

    def __init_subclass__(cls, *, name: str, probe: ProbeType = "tcp") -> None:
        super().__init_subclass__()
        declare(cls, Service, {"name": name, "probe": probe})

    @abstractmethod
    def ports(self, recipe: Recipe) -> tuple[int, ...]:
        """Return the ports it listens on; the probe uses the first."""

    @abstractmethod
    def command(self, ctx: ServiceContext) -> Command:
        """Return what the service step runs."""
