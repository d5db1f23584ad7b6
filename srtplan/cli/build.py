"""The ``compile``, ``check`` and ``plan`` commands: from arguments to plans, bundles and text."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import define, field, frozen

from srtplan import pipeline
from srtplan.cli.output import INTERNAL, internal, problems, say, say_profile
from srtplan.diagnostics import InputError, Report, count_of
from srtplan.ir.plan import Plan


@frozen(eq=False, repr=False)
class Target:
    """One recipe argument, and the folder of its bundles below the output directory ("" for the output itself)."""

    argument: str
    folder: str


def targets(recipes: Sequence[str]) -> tuple[Target, ...]:
    """Return every recipe of the command line; a directory stands for all recipes below it."""
    out: list[Target] = []
    for argument in recipes:
        if Path(argument).is_dir():
            base = Path(argument)
            found = pipeline.recipes_below(base)
            if not found:
                raise click_error(f"no recipe found below {argument}")
            out += [Target(str(f), f.relative_to(base).with_suffix("").as_posix()) for f in found]
        else:
            stem = Path(argument.partition(":")[0]).stem
            out.append(Target(argument, "" if len(recipes) == 1 else stem))
    return tuple(out)


def click_error(message: str) -> Exception:
    """Return a usage error."""
    import click  # noqa: PLC0415

    return click.UsageError(message)


@define
class Failures:
    """Recipes without a bundle: refused ones, and the number of internal errors."""

    refused: list[Report] = field(factory=list)
    internal_errors: int = 0

    def add_internal_error(self, error: Exception, recipe: str) -> None:
        """Print and count an internal error, so that the other recipes are still processed."""
        internal(error, recipe)
        self.internal_errors += 1


def compile_all(
    recipes: Sequence[str], output: Path, *, cluster: Path | None, sets: Sequence[str],
    options: pipeline.Options = pipeline.PLAIN,
) -> int:  # fmt: skip
    """Write every bundle and print the path of every job.sh. Writes nothing if any target folder is unusable."""
    say_profile(cluster)
    failures, report = Failures(), Report()
    places: list[Place] = []
    for target, planned in _each(recipes, cluster=cluster, sets=sets, failures=failures, options=options):
        for job in planned:
            report += job.report
            folder = output / target.folder / ((job.plan.recipe.variant or "") if len(planned) > 1 else "")
            places.append(Place(folder, target.argument, job.plan))
    written = 0
    if _can_write_all(places, output):
        for place in places:
            written += _write_bundle(place, output, failures)
    _report_stale(places)
    code = _finish(report, failures, f"{count_of(written, 'bundle')} written")
    return code or int(written < len(places))


@frozen
class Place:
    """The target folder of a job's bundle, and the argument that the job came from."""

    folder: Path
    argument: str
    plan: Plan

    @property
    def path(self) -> Path:
        """The absolute folder; links are not resolved."""
        return Path(os.path.abspath(self.folder))  # noqa: PTH100


def _report_stale(places: Sequence[Place]) -> None:
    """Name bundles of variants that a recipe no longer has. They are kept: they may still be needed."""
    current = {place.path for place in places}
    parents: dict[Path, str] = {}
    for place in places:
        source = place.plan.recipe
        if source.variant == place.path.name and Path(place.argument).is_file():  # no selector: all variants
            parents[place.folder.parent] = source.path
    for parent, recipe in parents.items():
        for file in sorted(parent.glob("*/plan.json")):
            folder = file.parent
            if Path(os.path.abspath(folder)) not in current and _is_variant(file, recipe):  # noqa: PTH100
                say(
                    f"srtplan: {folder} is left from an earlier compile: {recipe} has no variant '{folder.name}'"
                )


def _is_variant(plan: Path, recipe: str) -> bool:
    """Tell whether a plan.json comes from a variant of a recipe, and its folder has the variant's name."""
    try:
        document = json.loads(plan.read_bytes())
    except (OSError, ValueError):
        return False
    match document:
        case {"recipe": {"path": str(path), "variant": str(variant)}}:
            return Path(path).name == Path(recipe).name and variant == plan.parent.name
        case _:
            return False


def _can_write_all(places: Sequence[Place], output: Path) -> bool:
    """Tell whether every bundle has a writable folder of its own; print every reason why not."""
    from srtplan.bundle.write import WriteError, check  # noqa: PLC0415

    seen: dict[Path, str] = {}
    errors: list[str] = []
    for path, place in sorted(((p.path, p) for p in places), key=lambda p: p[0].parts):
        if (taken := next((seen[p] for p in (path, *path.parents) if p in seen), None)) is not None:
            raise click_error(f"{taken} and {place.argument} would both be written to {place.folder}")
        seen[path] = place.argument
        try:
            check(place.folder, output)
        except WriteError as e:
            errors.append(str(e))
    for line in errors:
        say(f"srtplan: {line}")
    return not errors


def _write_bundle(place: Place, output: Path, failures: Failures) -> bool:
    """Write one bundle; return whether it was written."""
    from srtplan.bundle.write import WriteError  # noqa: PLC0415

    try:
        pipeline.write(pipeline.bundle(place.plan), place.folder, output)
    except WriteError as e:
        say(f"srtplan: {e}")
        return False
    except Exception as e:  # noqa: BLE001 -- after an internal error the other recipes are still processed
        failures.add_internal_error(e, place.argument)
        return False
    print(place.folder / "job.sh")
    return True


def check_all(recipes: Sequence[str], *, cluster: Path | None, sets: Sequence[str]) -> int:
    """Plan every recipe and print its problems."""
    say_profile(cluster)
    failures, report, count = Failures(), Report(), 0
    for _, planned in _each(recipes, cluster=cluster, sets=sets, failures=failures):
        count += len(planned)
        for job in planned:
            report += job.report
    return _finish(report, failures, f"{count_of(count, 'job')} ok")


def show(recipe: str, *, as_json: bool, cluster: Path | None, sets: Sequence[str]) -> int:
    """Print the plans of a recipe, as text or as JSON (a list if there are several jobs)."""
    from srtplan.plan.show import serialise, text  # noqa: PLC0415

    say_profile(cluster)
    planned = pipeline.compile_recipe(recipe, cluster=cluster, sets=sets)
    if as_json:
        documents = [serialise.to_json(job.plan) for job in planned]
        many = "[\n" + ",\n".join(d.rstrip("\n") for d in documents) + "\n]\n"
        print(many if len(documents) > 1 else documents[0], end="")
    else:
        print("\n".join(text.render(job.plan) for job in planned), end="")
    problems(sum((job.report for job in planned), Report()))
    return 0


def _each(
    recipes: Sequence[str], *, cluster: Path | None, sets: Sequence[str], failures: Failures,
    options: pipeline.Options = pipeline.PLAIN,
) -> Iterator[tuple[Target, tuple[pipeline.Planned, ...]]]:  # fmt: skip
    """Plan each recipe; add those that cannot be planned to ``failures``."""
    for target in targets(recipes):
        planned = _planned(target.argument, cluster=cluster, sets=sets, failures=failures, options=options)
        if planned is not None:
            yield target, planned


def _planned(
    argument: str, *, cluster: Path | None, sets: Sequence[str], failures: Failures, options: pipeline.Options
) -> tuple[pipeline.Planned, ...] | None:
    try:
        return pipeline.compile_recipe(argument, cluster=cluster, sets=sets, options=options)
    except InputError as e:
        failures.refused.append(e.report)
    except Exception as e:  # noqa: BLE001 -- after an internal error the other recipes are still processed
        failures.add_internal_error(e, argument)
    return None


def _finish(report: Report, failures: Failures, summary: str) -> int:
    """Print the problems and the summary; return the exit code."""
    problems(sum(failures.refused, report))
    counts = ((len(failures.refused), "refused"), (failures.internal_errors, "with an internal error"))
    say(summary + "".join(f", {count_of(n, 'recipe')} {what}" for n, what in counts if n))
    return INTERNAL if failures.internal_errors else int(bool(failures.refused))
