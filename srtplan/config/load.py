"""From command line arguments to jobs: read, select variants, merge layers, structure, check.

In: ``recipe.yaml`` or ``recipe.yaml:selector``, the profile, ``--set`` values. Out: ``Loaded``, or ``InputError`` with
every problem of every variant. Only this module, ``source`` and ``profile`` read files. The environment is read once,
here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Mapping as Dict
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeVar

from attrs import evolve, frozen

from srtplan import diagnostics
from srtplan.config import profile, rules
from srtplan.config.layouts import detect
from srtplan.config.layouts.draft import Context
from srtplan.config.locate import locate, origin
from srtplan.config.variants import layers, overrides, set_option
from srtplan.config.yaml.parse import compose
from srtplan.config.yaml.source import Text, fatal, read
from srtplan.config.yaml.tree import Mapping, Spot
from srtplan.diagnostics import NO_EFFECT, Finding, InputError, Problem, Report
from srtplan.ir.recipe import Recipe, Source

T = TypeVar("T")
SIZES = (("resources",), ("roles",))
"""The sections with nodes, workers and GPUs, in either layout."""
SUFFIXES = (".yaml", ".yml")


@frozen(kw_only=True, eq=False, repr=False)
class Job:
    """One recipe. ``tree`` has the position of every value, including values of the profile and of ``--set``.

    ``text`` is the content of the file.
    """

    recipe: Recipe
    locate: Callable[[Finding], Problem]
    warnings: Report
    tree: Mapping
    text: str = ""
    profile: str = ""
    """The file name of the profile."""
    invalid: frozenset[str] = frozenset()
    """Sections that ``recipe`` replaces by stand-ins, or that hold invalid numbers. Only an ``Attempt`` has any."""

    def report(self, findings: Iterable[Finding]) -> Report:
        """Return all findings with their positions, except unused defaults of the profile."""
        found = [(f, self.locate(f)) for f in findings]
        return Report(p for f, p in found if f.rule != NO_EFFECT or p.file != self.profile)

    def origin(self, path: diagnostics.Path) -> str:
        """Return the origin of a value: ``recipe.yaml:12``, ``srtslurm.yaml:3``, ``--set a=1``, or ``default``."""
        return origin(self.tree, path)


@frozen(kw_only=True, eq=False, repr=False)
class Attempt:
    """The jobs of one argument, valid or not, and all their problems."""

    jobs: tuple[Job, ...]
    problems: Report


@frozen(kw_only=True, eq=False, repr=False)
class Loaded:
    """The jobs of one argument, in the order of the file."""

    jobs: tuple[Job, ...]

    @property
    def warnings(self) -> Report:
        """The distinct warnings of all jobs."""
        return Report(tuple(p for job in self.jobs for p in job.warnings))


def load(
    argument: str,
    *,
    cluster: Path | None = None,
    sets: Sequence[str] = (),
    cwd: Path | None = None,
    environ: Dict[str, str] | None = None,
) -> Loaded:
    """Return the jobs of ``file.yaml[:selector]``; ``-`` is standard input. Raises InputError."""
    attempt = load_partially(argument, cluster=cluster, sets=sets, cwd=cwd, environ=environ)
    if attempt.problems.errors:
        raise InputError(attempt.problems)
    return Loaded(jobs=attempt.jobs)


def load_partially(
    argument: str,
    *,
    cluster: Path | None = None,
    sets: Sequence[str] = (),
    cwd: Path | None = None,
    environ: Dict[str, str] | None = None,
) -> Attempt:
    """Load an argument and return its jobs, valid or not, and all problems. Raises InputError if there is no job."""
    cwd = Path.cwd() if cwd is None else cwd
    environ = os.environ if environ is None else environ
    name, selector = split_argument(argument, cwd)
    problems: list[Problem] = []
    text = read(cwd / name, name)
    site = _profile(cwd, environ, cluster, problems)
    changes = _or_none(lambda: set_option.parse_all(sets), problems)
    root = _or_none(lambda: _root(text, problems), problems)
    chosen = _or_none(lambda: overrides.choose(root, selector, changes or ()), problems) if root else None
    if chosen is None:
        raise InputError(Report(problems))
    path = _relative(name, cwd)
    results = [_job(v, text, path, site, environ) for v in chosen]
    problems += (p for _, ps in results for p in ps)
    jobs = (evolve(job, warnings=Report((*site.problems, *job.warnings))) for job, _ in results)
    return Attempt(jobs=tuple(jobs), problems=Report(problems))


def _or_none(make: Callable[[], T], problems: list[Problem]) -> T | None:
    """Return the result of ``make``, or None after adding its problems, so that later problems are found, too."""
    try:
        return make()
    except InputError as error:
        problems += error.report
    return None


def recipes_below(directory: Path) -> tuple[Path, ...]:
    """Return all recipes below a directory, sorted: ``*.yaml`` and ``*.yml``, but no profiles or hidden folders."""
    found = (p for s in SUFFIXES for p in directory.rglob(f"*{s}"))
    return tuple(sorted(p for p in found if p.name != profile.NAME and not _hidden(p.relative_to(directory))))


def split_argument(argument: str, cwd: Path) -> tuple[str, str | None]:
    """Split an argument into file and selector; an existing file whose name contains a colon is not split."""
    head, colon, tail = argument.rpartition(":")
    if not colon or not tail or (cwd / argument).is_file():
        return argument.removesuffix(":"), None
    return head, tail


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _relative(name: str, cwd: Path) -> str:
    """Return the path relative to the current directory if it is absolute, else unchanged."""
    return PurePosixPath(os.path.relpath(name, cwd) if Path(name).is_absolute() else name).as_posix()


def _profile(
    cwd: Path, environ: Dict[str, str], cluster: Path | None, problems: list[Problem]
) -> profile.Profile:
    """Return the profile; an empty one if it has errors, so that the recipe is still checked."""
    found = _or_none(lambda: profile.load(cwd, environ, cluster), problems) or profile.Profile()
    problems += found.problems
    return profile.Profile() if found.broken else found


def _root(text: Text, problems: list[Problem]) -> Mapping:
    root, found = compose(text.origin)
    problems += found
    if root is None:
        hint = "start with `name:`; see the recipes in examples/"
        raise fatal(Spot(text.origin, 1, 1).problem("SP107", "the file is empty", hint=hint))
    if not isinstance(root, Mapping):
        hint = "start with `name:` and other keys at the top level"
        raise fatal(root.spot.problem("SP107", "a recipe must be a mapping of keys to values", hint=hint))
    return root


def _job(
    variant: overrides.Variant, text: Text, path: str, site: profile.Profile, environ: Dict[str, str]
) -> tuple[Job, tuple[Problem, ...]]:
    tree = layers.apply(variant.tree, site.tree) if site.tree else variant.tree
    place = partial(locate, tree, site.tree)
    draft = detect.lower(tree, _context(site, environ))
    draft.mounts = (*site.mounts, *draft.mounts)
    findings = (*draft.findings, *rules.check(draft))
    problems = (*variant.problems, *(place(f) for f in findings))
    source = Source(path=path, sha256=text.sha256, variant=variant.name)
    recipe, invalid = draft.recipe(source, site.site)
    if any(f.severity == "error" and f.path[:1] in SIZES for f in findings):
        invalid |= {"resources"}
    warnings = Report(p for p in problems if p.severity == "warning")
    job = Job(
        recipe=recipe,
        locate=place,
        warnings=warnings,
        tree=tree,
        text=text.origin.text,
        invalid=invalid,
        profile=site.tree.spot.origin.name if site.tree else "",
    )
    return job, problems


def _context(site: profile.Profile, environ: Dict[str, str]) -> Context:
    def names(key: str) -> tuple[str, ...]:
        section = site.tree.get(key) if site.tree else None
        return tuple(section) if isinstance(section, Mapping) else ()

    return Context(
        environ=environ,
        models=names("model_paths"),
        containers=names("containers"),
        has_profile=site.tree is not None,
        runtime=site.site.runtime,
    )
