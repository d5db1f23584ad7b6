"""The contract of a benchmark: a load generator, an evaluation, or nothing."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar, final

from attrs import frozen

from srtplan.diagnostics import Finding
from srtplan.ir.recipe import Recipe
from srtplan.ir.shell import Word
from srtplan.plugin.base import O_co, Plugin, declare, typed_options
from srtplan.plugin.contexts import Command, JobContext


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

    ``parameters`` describe the workload: only jobs with the same ones are compared. An input that no mount of the job brings
    into the container is mounted at its own path, read-only unless it is writable.
    """

    command: Command | None
    parameters: tuple[tuple[str, str], ...] = ()
    image: str | None = None
    inputs: tuple[Input, ...] = ()


class Benchmark(Plugin[O_co]):
    """A load generator, an evaluation, or nothing."""

    sends_requests: ClassVar[bool] = True
    """It runs a client. Without one the job serves until it is stopped."""

    def __init_subclass__(cls, *, name: str, sends_requests: bool = True) -> None:
        super().__init_subclass__()
        declare(cls, Benchmark, {"name": name, "sends_requests": sends_requests})

    @abstractmethod
    def command(self, ctx: BenchmarkContext) -> BenchmarkCommand:
        """Return what the last step of the job runs."""

    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Return missing and contradicting fields, before anything is queued. Default: none."""
        del recipe
        return ()

    @final
    def options_of(self, recipe: Recipe) -> O_co:
        """Return the recipe's options of this benchmark."""
        return typed_options(recipe.benchmark, self.options)
