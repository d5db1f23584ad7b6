"""The benchmark contract: a load generator, an evaluation, or nothing."""

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
    """The context of a benchmark client on ``node``; ``url`` is the public endpoint."""

    job: JobContext
    node: int
    url: Word
    client: str
    """The load generator of the engine: sglang, vllm, trtllm or aiperf."""


@frozen(kw_only=True)
class Input:
    """A data set, trace or wheel that a benchmark reads, or a ``writable`` cache.

    ``path`` is an absolute path or a URL; ``why`` is the recipe field that names it.
    """

    path: str
    why: str
    writable: bool = False


@frozen(kw_only=True, eq=False, repr=False)
class BenchmarkCommand:
    """What a benchmark runs; ``command`` is None for a job that serves until it is stopped.

    ``image`` defaults to the job's image. ``parameters`` describe the workload: only jobs with equal parameters are
    compared. An input outside the job's mounts is mounted at its own path, read-only unless it is writable.
    """

    command: Command | None
    parameters: tuple[tuple[str, str], ...] = ()
    image: str | None = None
    inputs: tuple[Input, ...] = ()


class Benchmark(Plugin[O_co]):
    """A load generator, an evaluation, or nothing."""

    sends_requests: ClassVar[bool] = True
    """Whether it runs a client. Without a client, the job serves until it is stopped."""

    def __init_subclass__(cls, *, name: str, sends_requests: bool = True) -> None:
        super().__init_subclass__()
        declare(cls, Benchmark, {"name": name, "sends_requests": sends_requests})

    @abstractmethod
    def command(self, ctx: BenchmarkContext) -> BenchmarkCommand:
        """Return what the last step of the job runs."""

    def check(self, recipe: Recipe) -> Iterable[Finding]:
        """Return findings about missing or conflicting fields, before the job is submitted. Default: none."""
        del recipe
        return ()

    @final
    def options_of(self, recipe: Recipe) -> O_co:
        """Return the recipe's options of this benchmark."""
        return typed_options(recipe.benchmark, self.options)
