"""The contract of a service: a process that workers or frontends need, such as NATS or etcd."""

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
"""The name of a service of this job, which tells it from another job's."""


@frozen(kw_only=True, eq=False, repr=False)
class ServiceContext:
    """One service process on ``node``."""

    job: JobContext
    node: int


class Service(Plugin[NoOptions]):
    """A process beside the workers: NATS, etcd, ..."""

    probe: ClassVar[ProbeType] = "tcp"
    """How it is asked whether it is ready: `tcp` (a connection), `nats` and `etcd` (an answer with OWN_NAME)."""

    def __init_subclass__(cls, *, name: str, probe: ProbeType = "tcp") -> None:
        super().__init_subclass__()
        declare(cls, Service, {"name": name, "probe": probe})

    @abstractmethod
    def ports(self, recipe: Recipe) -> tuple[int, ...]:
        """Return the ports it listens on; the first is the one that is probed."""

    @abstractmethod
    def command(self, ctx: ServiceContext) -> Command:
        """Return what the service step runs."""
