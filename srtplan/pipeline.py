"""The stages in order: the table of contents of srtplan.

jobs = pipeline.load("recipe.yaml")          text to recipes (one per variant)
planned = pipeline.plan(jobs)                recipes to plans
bundle = pipeline.bundle(planned[0].plan)    plan to files
pipeline.write(bundle, Path("bundle"))       files to disk
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from attrs import evolve, frozen

from srtplan.config.load import Job, attempted, recipes_below
from srtplan.diagnostics import InputError, PlanError, Report
from srtplan.ir.bundle import Bundle
from srtplan.ir.plan import Plan
from srtplan.plan.assemble import check_recipe
from srtplan.plan.assemble import plan as assemble
from srtplan.plan.rules.port_offset import unmoved
from srtplan.plan.topology.port_offset import shift_ports


@frozen(eq=False, repr=False)
class Planned:
    """One job, planned; ``report`` has its warnings."""

    plan: Plan
    report: Report


@frozen(kw_only=True, eq=False, repr=False)
class Options:
    """What may be chosen when compiling: an offset for all ports, and to leave the checks on the nodes out."""

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
    """All jobs of ``file.yaml[:selector]``.

    Raises InputError, with what plugins and plan say of the sections without a fault.
    """
    attempt = attempted(argument, cluster=cluster, sets=sets, cwd=cwd, environ=environ)
    if not attempt.problems.errors:
        return attempt.jobs
    more = (job.report(check_recipe(job.recipe, job.faulty)) for job in attempt.jobs)
    raise InputError(sum(more, attempt.problems))


def plan(made: Iterable[Job], options: Options = PLAIN) -> tuple[Planned, ...]:
    """The plans of all jobs. Raises InputError with the problems of every job."""
    done: list[Planned] = []
    bad = Report()
    for job in made:
        try:
            result, found = assemble(shift_ports(job.recipe, options.port_offset))
            found = (*found, *unmoved(job.recipe, options.port_offset))
        except PlanError as e:
            bad += job.report(e.findings) + job.warnings
            continue
        result = result if options.preflight else evolve(result, preflight=())
        done.append(Planned(result, job.warnings + job.report(found)))
    if bad.errors:
        raise InputError(bad)
    return tuple(done)


@frozen(eq=False, repr=False)
class Ready:
    """One job as it was loaded, and what became of it."""

    job: Job
    planned: Planned


def ready(
    argument: str, *, cluster: Path | None = None, sets: Sequence[str] = (), options: Options = PLAIN
) -> tuple[Ready, ...]:
    """Text to plans, with the recipes that they are made from: what a submission records. Raises InputError."""
    made = jobs(argument, cluster=cluster, sets=sets)
    return tuple(Ready(job, planned) for job, planned in zip(made, plan(made, options), strict=True))


def compile_recipe(
    argument: str, *, cluster: Path | None = None, sets: Sequence[str] = (), options: Options = PLAIN
) -> tuple[Planned, ...]:
    """Text to plans in one call. Raises InputError."""
    return plan(jobs(argument, cluster=cluster, sets=sets), options)


def bundle(made: Plan) -> Bundle:
    """The files of a plan. Jinja is imported here, so that a check does not wait for it."""
    from srtplan.bundle.render import render  # noqa: PLC0415
    from srtplan.plan.show import serialise, text  # noqa: PLC0415

    return render(made, {"plan.json": serialise.to_json(made), "plan.txt": text.render(made)})


def write(files: Bundle, directory: Path, root: Path | None = None) -> None:
    """Files to disk, all or none, at ``root`` or below it. Raises srtplan.bundle.write.WriteError."""
    from srtplan.bundle.write import write as to_disk  # noqa: PLC0415

    to_disk(files, directory, root)


__all__ = [
    "Options", "Planned", "Ready", "bundle", "compile_recipe", "jobs", "plan", "ready", "recipes_below", "write",
]  # fmt: skip
