"""The stages of srtplan, in order.

jobs = pipeline.jobs("recipe.yaml")          text to recipes (one per variant)
planned = pipeline.plan(jobs)                recipes to plans
bundle = pipeline.bundle(planned[0].plan)    plan to files
pipeline.write(bundle, Path("bundle"))       files to disk
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from attrs import evolve, frozen

from srtplan.config.load import Job, load_partially, recipes_below
from srtplan.diagnostics import InputError, PlanError, Report
from srtplan.ir.bundle import Bundle
from srtplan.ir.plan import Plan
from srtplan.plan.assemble import check_recipe
from srtplan.plan.assemble import plan as assemble
from srtplan.plan.rules.port_offset import unmoved
from srtplan.plan.topology.port_offset import shift_ports


@frozen(eq=False, repr=False)
class Planned:
    """A planned job; ``report`` has its warnings."""

    plan: Plan
    report: Report


@frozen(kw_only=True, eq=False, repr=False)
class Options:
    """Options of a compile: an offset for all ports, and whether the nodes are checked before the job starts."""

    port_offset: int = 0
    preflight: bool = True


PLAIN = Options()


def jobs(
    argument: str,
    *,
    cluster: Path | None = None,
    sets: Sequence[str] = (),
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> tuple[Job, ...]:
    """Return all jobs of ``file.yaml[:selector]``.

    Raises InputError, which also has the problems that plugins and plan find in the valid sections.
    """
    attempt = load_partially(argument, cluster=cluster, sets=sets, cwd=cwd, environ=environ)
    if not attempt.problems.errors:
        return attempt.jobs
    more = (job.report(check_recipe(job.recipe, job.invalid)) for job in attempt.jobs)
    raise InputError(sum(more, attempt.problems))


def plan(loaded: Iterable[Job], options: Options = PLAIN) -> tuple[Planned, ...]:
    """Return the plans of all jobs. Raises InputError with the problems of every job."""
    planned: list[Planned] = []
    problems = Report()
    for job in loaded:
        try:
            result, found = assemble(shift_ports(job.recipe, options.port_offset))
            found = (*found, *unmoved(job.recipe, options.port_offset))
        except PlanError as e:
            problems += job.report(e.findings) + job.warnings
            continue
        result = result if options.preflight else evolve(result, preflight=())
        planned.append(Planned(result, job.warnings + job.report(found)))
    if problems.errors:
        raise InputError(problems)
    return tuple(planned)


@frozen(eq=False, repr=False)
class Ready:
    """A job as loaded, and as planned."""

    job: Job
    planned: Planned


def ready(
    argument: str, *, cluster: Path | None = None, sets: Sequence[str] = (), options: Options = PLAIN
) -> tuple[Ready, ...]:
    """Return the plans of an argument together with their recipes, which a submission records. Raises InputError."""
    loaded = jobs(argument, cluster=cluster, sets=sets)
    return tuple(Ready(job, planned) for job, planned in zip(loaded, plan(loaded, options), strict=True))


def compile_recipe(
    argument: str, *, cluster: Path | None = None, sets: Sequence[str] = (), options: Options = PLAIN
) -> tuple[Planned, ...]:
    """Return the plans of an argument. Raises InputError."""
    return plan(jobs(argument, cluster=cluster, sets=sets), options)


def bundle(source: Plan) -> Bundle:
    """Return the files of a plan. Jinja is imported here, so that a check does not wait for it."""
    from srtplan.bundle.render import render  # noqa: PLC0415
    from srtplan.plan.show import serialise, text  # noqa: PLC0415

    return render(source, {"plan.json": serialise.to_json(source), "plan.txt": text.render(source)})


def write(files: Bundle, directory: Path, root: Path | None = None) -> None:
    """Write all files or none, at ``root`` or below it. Raises srtplan.bundle.write.WriteError."""
    from srtplan.bundle.write import write as to_disk  # noqa: PLC0415

    to_disk(files, directory, root)


__all__ = [
    "Options", "Planned", "Ready", "bundle", "compile_recipe", "jobs", "plan", "ready", "recipes_below", "write",
]  # fmt: skip
