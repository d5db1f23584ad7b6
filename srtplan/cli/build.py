"""compile, check and plan: from arguments to plans, bundles and text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import frozen

from srtplan import pipeline
from srtplan.cli.output import problems, say
from srtplan.diagnostics import InputError, Report


@frozen(eq=False, repr=False)
class Target:
    """One recipe argument, and the folder below the output where its bundles go (empty for the output itself)."""

    argument: str
    folder: str


def targets(recipes: Sequence[str]) -> tuple[Target, ...]:
    """Every recipe of the command line; a directory stands for all recipes below it."""
    out: list[Target] = []
    for argument in recipes:
        if Path(argument).is_dir():
            base = Path(argument)
            found = pipeline.recipes_below(base)
            if not found:
                raise click_error(f"no recipe below {argument}")
            out += [Target(str(f), f.relative_to(base).with_suffix("").as_posix()) for f in found]
        else:
            stem = Path(argument.partition(":")[0]).stem
            out.append(Target(argument, "" if len(recipes) == 1 else stem))
    return tuple(out)


def click_error(message: str) -> Exception:
    """A usage error."""
    import click  # noqa: PLC0415

    return click.UsageError(message)


def compile_all(
    recipes: Sequence[str], output: Path, *, cluster: Path | None, sets: Sequence[str],
    options: pipeline.Options = pipeline.PLAIN,
) -> int:  # fmt: skip
    """Write every bundle; print the path of every job.sh."""
    from srtplan.bundle.write import WriteError  # noqa: PLC0415

    report = Report()
    seen: dict[Path, str] = {}
    failed: list[Report] = []
    for target, planned in _each(recipes, cluster=cluster, sets=sets, into=failed, options=options):
        for job in planned:
            report += job.report
            where = output / target.folder / ((job.plan.recipe.variant or "") if len(planned) > 1 else "")
            if where in seen:
                raise click_error(f"{seen[where]} and {target.argument} would both be written to {where}")
            seen[where] = target.argument
            try:
                pipeline.write(pipeline.bundle(job.plan), where)
            except WriteError as e:
                say(f"srtplan: {e}")
                return 1
            print(where / "job.sh")
    return _finish(report, failed, f"{len(seen)} bundle{'s' if len(seen) != 1 else ''} written")


def check_all(recipes: Sequence[str], *, cluster: Path | None, sets: Sequence[str]) -> int:
    """Plan everything, write nothing."""
    report, count = Report(), 0
    failed: list[Report] = []
    for _, planned in _each(recipes, cluster=cluster, sets=sets, into=failed):
        count += len(planned)
        for job in planned:
            report += job.report
    return _finish(report, failed, f"{count} job{'s' if count != 1 else ''} ok")


def show(recipe: str, *, as_json: bool, cluster: Path | None, sets: Sequence[str]) -> int:
    """Print the plan of one job; of several, one after the other."""
    from srtplan.plan import serialise, text  # noqa: PLC0415

    planned = pipeline.compile_recipe(recipe, cluster=cluster, sets=sets)
    report = Report()
    for n, job in enumerate(planned):
        report += job.report
        if as_json:
            print(serialise.to_json(job.plan), end="")
        else:
            print(("\n" if n else "") + text.render(job.plan), end="")
    problems(report)
    return 0


def _each(
    recipes: Sequence[str], *, cluster: Path | None, sets: Sequence[str], into: list[Report],
    options: pipeline.Options = pipeline.PLAIN,
) -> Iterator[tuple[Target, tuple[pipeline.Planned, ...]]]:  # fmt: skip
    """Plan each recipe; the problems of those that cannot be planned go ``into`` the list."""
    for target in targets(recipes):
        try:
            planned = pipeline.compile_recipe(target.argument, cluster=cluster, sets=sets, options=options)
        except InputError as e:
            into.append(e.report)
            continue
        yield target, planned


def _finish(report: Report, failed: list[Report], done: str) -> int:
    problems(sum(failed, report))
    say(done + (f", {len(failed)} recipe{'s' if len(failed) != 1 else ''} refused" if failed else ""))
    return 1 if failed else 0
