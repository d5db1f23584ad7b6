"""compile, check and plan: from arguments to plans, bundles and text."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import define, field, frozen

from srtplan import pipeline
from srtplan.cli.output import INTERNAL, internal, problems, say, say_profile
from srtplan.diagnostics import InputError, Report
from srtplan.ir.plan import Plan


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


@define
class Bad:
    """Recipes that came to nothing: those with problems, and those at which srtplan itself failed."""

    refused: list[Report] = field(factory=list)
    faults: int = 0

    def fault(self, error: Exception, recipe: str) -> None:
        """Count and tell a fault of ours, so that the other recipes go on."""
        internal(error, recipe)
        self.faults += 1


def compile_all(
    recipes: Sequence[str], output: Path, *, cluster: Path | None, sets: Sequence[str],
    options: pipeline.Options = pipeline.PLAIN,
) -> int:  # fmt: skip
    """Write every bundle; print the path of every job.sh. Nothing is written if any place is unfit."""
    say_profile(cluster)
    bad, report = Bad(), Report()
    places: list[Place] = []
    for target, planned in _each(recipes, cluster=cluster, sets=sets, bad=bad, options=options):
        for job in planned:
            report += job.report
            folder = output / target.folder / ((job.plan.recipe.variant or "") if len(planned) > 1 else "")
            places.append(Place(folder, target.argument, job.plan))
    written = 0
    if _are_fit(places, output):
        for place in places:
            written += _written(place, output, bad)
    _tell_stale(places)
    code = _finish(report, bad, f"{written} bundle{'s' if written != 1 else ''} written")
    return code or int(written < len(places))


@frozen
class Place:
    """Where the bundle of a job goes, and the argument that it came from."""

    folder: Path
    argument: str
    plan: Plan

    @property
    def path(self) -> Path:
        """The folder, absolute; a link in it stays."""
        return Path(os.path.abspath(self.folder))  # noqa: PTH100


def _tell_stale(places: Sequence[Place]) -> None:
    """Name the bundles of variants that a recipe does not have any more; they may be wanted, so they stay."""
    now = {place.path for place in places}
    parents: dict[Path, str] = {}
    for place in places:
        source = place.plan.recipe
        if source.variant == place.path.name and Path(place.argument).is_file():  # all of its variants
            parents[place.folder.parent] = source.path
    for parent, recipe in parents.items():
        for file in sorted(parent.glob("*/plan.json")):
            folder = file.parent
            if Path(os.path.abspath(folder)) not in now and _is_variant(file, recipe):  # noqa: PTH100
                say(f"srtplan: {folder} is of an earlier compile: {recipe} has no variant '{folder.name}'")


def _is_variant(plan: Path, recipe: str) -> bool:
    """Tell whether a plan was made of a variant of a recipe, and lies in the folder of its name."""
    try:
        document = json.loads(plan.read_bytes())
    except (OSError, ValueError):
        return False
    match document:
        case {"recipe": {"path": str(path), "variant": str(variant)}}:
            return Path(path).name == Path(recipe).name and variant == plan.parent.name
        case _:
            return False


def _are_fit(places: Sequence[Place], output: Path) -> bool:
    """Tell whether every bundle has a place of its own where it may be written; say all that is wrong."""
    from srtplan.bundle.write import WriteError, check  # noqa: PLC0415

    seen: dict[Path, str] = {}
    said: list[str] = []
    for path, place in sorted(((p.path, p) for p in places), key=lambda p: p[0].parts):
        if (taken := next((seen[p] for p in (path, *path.parents) if p in seen), None)) is not None:
            raise click_error(f"{taken} and {place.argument} would both be written to {place.folder}")
        seen[path] = place.argument
        try:
            check(place.folder, output)
        except WriteError as e:
            said.append(str(e))
    for line in said:
        say(f"srtplan: {line}")
    return not said


def _written(place: Place, output: Path, bad: Bad) -> bool:
    """Write one bundle; tell whether it is there."""
    from srtplan.bundle.write import WriteError  # noqa: PLC0415

    try:
        pipeline.write(pipeline.bundle(place.plan), place.folder, output)
    except WriteError as e:
        say(f"srtplan: {e}")
        return False
    except Exception as e:  # noqa: BLE001 -- a fault of ours in one recipe does not concern the others
        bad.fault(e, place.argument)
        return False
    print(place.folder / "job.sh")
    return True


def check_all(recipes: Sequence[str], *, cluster: Path | None, sets: Sequence[str]) -> int:
    """Plan everything, write nothing."""
    say_profile(cluster)
    bad, report, count = Bad(), Report(), 0
    for _, planned in _each(recipes, cluster=cluster, sets=sets, bad=bad):
        count += len(planned)
        for job in planned:
            report += job.report
    return _finish(report, bad, f"{count} job{'s' if count != 1 else ''} ok")


def show(recipe: str, *, as_json: bool, cluster: Path | None, sets: Sequence[str]) -> int:
    """Print the plan of one job; of several, one after the other, or as one list of JSON."""
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
    recipes: Sequence[str], *, cluster: Path | None, sets: Sequence[str], bad: Bad,
    options: pipeline.Options = pipeline.PLAIN,
) -> Iterator[tuple[Target, tuple[pipeline.Planned, ...]]]:  # fmt: skip
    """Plan each recipe; those that cannot be planned are noted as ``bad``."""
    for target in targets(recipes):
        planned = _planned(target.argument, cluster=cluster, sets=sets, bad=bad, options=options)
        if planned is not None:
            yield target, planned


def _planned(
    argument: str, *, cluster: Path | None, sets: Sequence[str], bad: Bad, options: pipeline.Options
) -> tuple[pipeline.Planned, ...] | None:
    try:
        return pipeline.compile_recipe(argument, cluster=cluster, sets=sets, options=options)
    except InputError as e:
        bad.refused.append(e.report)
    except Exception as e:  # noqa: BLE001 -- a fault of ours in one recipe does not concern the others
        bad.fault(e, argument)
    return None


def _finish(report: Report, bad: Bad, done: str) -> int:
    problems(sum(bad.refused, report))
    counts = ((len(bad.refused), "refused"), (bad.faults, "with an internal error"))
    say(done + "".join(f", {n} recipe{'s' if n != 1 else ''} {what}" for n, what in counts if n))
    return INTERNAL if bad.faults else int(bool(bad.refused))
