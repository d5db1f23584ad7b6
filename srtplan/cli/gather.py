"""What apply and dry-run have in common: from ``-f`` arguments to compiled jobs, and which recipes are refused.

A recipe with an error stops everything, unless it was found below a directory: then the others go on without it.
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
    """The command line. ``output`` None is the profile's ``output_dir``, else ``outputs``."""

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
        """What is chosen when compiling."""
        return pipeline.Options(port_offset=self.port_offset, preflight=not self.no_preflight)

    @property
    def changes(self) -> tuple[str, ...]:
        """All changes to the recipe, as ``--set`` takes them."""
        if self.setup_script is None:
            return self.sets
        return (*self.sets, f"setup_script={json.dumps(self.setup_script)}")


@frozen
class Found:
    """A compiled job, the argument it came from, and the folder below which its run goes."""

    argument: str
    job: Job
    plan: Plan
    base: Path


@frozen
class Refused:
    """A recipe with errors, or one at which srtplan itself failed (``fault``); ``is_fatal`` if it was named by itself."""

    argument: str
    report: Report
    is_fatal: bool
    fault: str = ""

    @property
    def error(self) -> str:
        """All that is wrong, as one text."""
        return self.fault or "\n\n".join(p.render() for p in self.report.errors)


@frozen(kw_only=True)
class Gathered:
    """All jobs of a command line, what is refused, and every problem."""

    found: tuple[Found, ...]
    refused: tuple[Refused, ...]
    report: Report

    @property
    def is_blocked(self) -> bool:
        """Nothing may be done."""
        return not self.found or any(r.is_fatal for r in self.refused)

    @property
    def code(self) -> int:
        """The exit code if all else goes well."""
        return INTERNAL if any(r.fault for r in self.refused) else int(bool(self.refused))


def gather(request: Request) -> Gathered:
    """Compile everything that is asked for."""
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
        except Exception as e:  # noqa: BLE001 -- a fault of ours in one recipe does not concern the others
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
    """``a, b,,a`` is a and b."""
    return tuple(dict.fromkeys(t for part in text.split(",") if (t := part.strip())))


def _arguments(files: tuple[str, ...]) -> Iterator[tuple[str, bool]]:
    """Every recipe, and whether it was named by itself; a directory stands for all recipes below it."""
    if files.count("-") > 1:
        raise click_error("-f - can be given once")
    for argument in files:
        if not Path(argument).is_dir():
            yield argument, True
            continue
        below = pipeline.recipes_below(Path(argument))
        if not below:
            raise click_error(f"no recipe below {argument}")
        yield from ((str(path), False) for path in below)


def _base(request: Request, job: Job) -> Path:
    base = Path(os.path.abspath(request.output or job.recipe.site.output_dir or "outputs"))  # noqa: PTH100 -- links stay
    if "%" in str(base) or not str(base).isprintable():
        raise click_error(
            f"Slurm cannot be told to write below {str(base)!r}: no % and no control characters"
        )
    return base
