"""From the ``-f`` arguments of ``apply`` and ``dry-run`` to compiled jobs and refused recipes.

A named recipe with an error blocks everything. A recipe found below a directory is only skipped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from srtplan import pipeline
from srtplan.cli.build import click_error
from srtplan.cli.output import INTERNAL, internal
from srtplan.config.load import Job
from srtplan.diagnostics import InputError, Report
from srtplan.ir.plan import Plan


@frozen(kw_only=True)
class Request:
    """The command line. ``output`` defaults to the profile's ``output_dir``, then to ``outputs``."""

    files: tuple[str, ...]
    output: Path | None = None
    cluster: Path | None = None
    sets: tuple[str, ...] = ()
    setup_script: str | None = None
    tags: tuple[str, ...] = ()
    port_offset: int = 0
    no_preflight: bool = False

    @property
    def options(self) -> pipeline.Options:
        """The options of the compiler."""
        return pipeline.Options(port_offset=self.port_offset, preflight=not self.no_preflight)

    @property
    def changes(self) -> tuple[str, ...]:
        """All changes to the recipe, in the form of ``--set``."""
        if self.setup_script is None:
            return self.sets
        return (*self.sets, f"setup_script={json.dumps(self.setup_script)}")


@frozen
class Found:
    """A compiled job, the argument it came from, and the base directory of its run."""

    argument: str
    job: Job
    plan: Plan
    base: Path


@frozen
class Refused:
    """A recipe with errors or an internal error; ``is_fatal`` if the command line names it."""

    argument: str
    report: Report
    is_fatal: bool
    internal_error: str = ""

    @property
    def error(self) -> str:
        """All errors as one text."""
        return self.internal_error or "\n\n".join(p.render() for p in self.report.errors)


@frozen(kw_only=True)
class Gathered:
    """All jobs of a command line, the refused recipes, and every problem."""

    found: tuple[Found, ...]
    refused: tuple[Refused, ...]
    report: Report

    @property
    def is_blocked(self) -> bool:
        """Nothing may be submitted."""
        return not self.found or any(r.is_fatal for r in self.refused)

    @property
    def code(self) -> int:
        """The exit code if every job is submitted."""
        return INTERNAL if any(r.internal_error for r in self.refused) else int(bool(self.refused))


def gather(request: Request) -> Gathered:
    """Compile every recipe of a request."""
    found: list[Found] = []
    refused: list[Refused] = []
    for argument, is_named in _arguments(request.files):
        try:
            jobs = pipeline.ready(
                argument, cluster=request.cluster, sets=request.changes, options=request.options
            )
        except InputError as e:
            refused.append(Refused(argument, e.report, is_named))
            continue
        except Exception as e:  # noqa: BLE001 -- after an internal error the other recipes are still processed
            refused.append(Refused(argument, Report(), is_named, internal(e, argument)))
            continue
        found += [Found(argument, r.job, r.planned.plan, _base(request, r.job)) for r in jobs]
    warnings = (p for f in found for p in f.job.warnings)
    return Gathered(
        found=tuple(found),
        refused=tuple(refused),
        report=Report((*warnings, *(p for r in refused for p in r.report))),
    )


def split_tags(text: str) -> tuple[str, ...]:
    """Return the tags of a comma-separated list, without blanks and repetitions: ``a, b,,a`` gives a and b."""
    return tuple(dict.fromkeys(t for part in text.split(",") if (t := part.strip())))


def _arguments(files: tuple[str, ...]) -> Iterator[tuple[str, bool]]:
    """Yield every recipe, and whether it is named; a directory stands for all recipes below it."""
    if files.count("-") > 1:
        raise click_error("-f - can be used only once")
    for argument in files:
        if not Path(argument).is_dir():
            yield argument, True
            continue
        below = pipeline.recipes_below(Path(argument))
        if not below:
            raise click_error(f"no recipe found below {argument}")
        yield from ((str(path), False) for path in below)


def _base(request: Request, job: Job) -> Path:
    base = Path(os.path.abspath(request.output or job.recipe.site.output_dir or "outputs"))  # noqa: PTH100 -- keep links
    if "%" in str(base) or not str(base).isprintable():
        raise click_error(f"the output directory cannot contain '%' or control characters: {str(base)!r}")
    return base
