"""From the command line's words to jobs: read, choose variants, layer, structure, check.

In: ``recipe.yaml`` or ``recipe.yaml:selector``, the profile, ``--set`` values. Out: ``Loaded``, or ``InputError`` with
every problem of every variant. This module, ``source`` and ``profile`` are the only ones that read files; the
environment is read here, once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Mapping as Dict
from functools import partial
from pathlib import Path, PurePosixPath

from attrs import evolve, frozen

from srtplan import diagnostics
from srtplan.config import layers, profile, rules, schema, settings, variants
from srtplan.config.draft import Context
from srtplan.config.locate import locate, origin
from srtplan.config.parse import parse
from srtplan.config.source import Text, fatal, read
from srtplan.config.tree import Mapping, Spot
from srtplan.diagnostics import Finding, InputError, Problem, Report
from srtplan.ir.recipe import Recipe, Source

SUFFIXES = (".yaml", ".yml")


@frozen(kw_only=True, eq=False, repr=False)
class Job:
    """One recipe. ``tree`` holds the place of every value, also of those from the profile or a ``--set``.

    ``text`` is the file as it was read.
    """

    recipe: Recipe
    locate: Callable[[Finding], Problem]
    warnings: Report
    tree: Mapping
    text: str = ""

    def origin(self, path: diagnostics.Path) -> str:
        """Where a value came from: ``recipe.yaml:12``, ``srtslurm.yaml:3``, ``--set a=1``, or ``default``."""
        return origin(self.tree, path)


@frozen(kw_only=True, eq=False, repr=False)
class Loaded:
    """The jobs of one argument, in the order of the file."""

    jobs: tuple[Job, ...]

    @property
    def warnings(self) -> Report:
        """The warnings of all jobs, each once."""
        return Report(tuple(p for job in self.jobs for p in job.warnings))


def load(
    argument: str,
    *,
    cluster: Path | None = None,
    sets: Sequence[str] = (),
    cwd: Path | None = None,
    environ: Dict[str, str] | None = None,
) -> Loaded:
    """The jobs of ``file.yaml[:selector]``, ``-`` for standard input; raises InputError."""
    cwd = Path.cwd() if cwd is None else cwd
    environ = os.environ if environ is None else environ
    name, selector = split_argument(argument, cwd)
    text = read(cwd / name, name)
    site, early = _profile(cwd, environ, cluster)
    changes = settings.parse_all(sets)
    chosen = variants.choose(_root(text), selector, changes)
    done = [_job(v, text, _relative(name, cwd), site, environ) for v in chosen]
    problems = (*early, *site.problems, *(p for _, ps in done for p in ps))
    if any(p.severity == "error" for p in problems):
        raise InputError(Report(problems))
    jobs = (evolve(job, warnings=Report((*site.problems, *job.warnings))) for job, _ in done if job)
    return Loaded(jobs=tuple(jobs))


def recipes_below(directory: Path) -> tuple[Path, ...]:
    """All recipes below a directory, sorted: ``*.yaml`` and ``*.yml``, without profiles and hidden folders."""
    found = (p for s in SUFFIXES for p in directory.rglob(f"*{s}"))
    return tuple(sorted(p for p in found if p.name != profile.NAME and not _hidden(p.relative_to(directory))))


def split_argument(argument: str, cwd: Path) -> tuple[str, str | None]:
    """File and selector; a file whose name holds a colon is taken as it is."""
    head, colon, tail = argument.rpartition(":")
    if not colon or not tail or (cwd / argument).is_file():
        return argument.removesuffix(":"), None
    return head, tail


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _relative(name: str, cwd: Path) -> str:
    """The path as given, or relative to the current directory where it is absolute."""
    return PurePosixPath(os.path.relpath(name, cwd) if Path(name).is_absolute() else name).as_posix()


def _profile(
    cwd: Path, environ: Dict[str, str], cluster: Path | None
) -> tuple[profile.Profile, tuple[Problem, ...]]:
    """A profile with errors counts as none, so that the recipe is still checked."""
    try:
        found = profile.load(cwd, environ, cluster)
    except InputError as error:
        return profile.Profile(), tuple(error.report)
    return (found, ()) if not found.broken else (profile.Profile(), found.problems)


def _root(text: Text) -> Mapping:
    root = parse(text.origin)
    if root is None:
        raise fatal(Spot(text.origin).problem("SP107", "the file is empty"))
    if not isinstance(root, Mapping):
        raise fatal(root.spot.problem("SP107", "a recipe must be a mapping of keys to values"))
    return root


def _job(
    variant: variants.Variant, text: Text, path: str, site: profile.Profile, environ: Dict[str, str]
) -> tuple[Job | None, Iterable[Problem]]:
    tree = layers.apply(variant.tree, site.tree) if site.tree else variant.tree
    place = partial(locate, tree, site.tree)
    draft = schema.lower(tree, _context(site, environ))
    draft.mounts = (*site.mounts, *draft.mounts)
    findings = (*draft.findings, *rules.check(draft))
    problems = (*variant.problems, *(place(f) for f in findings))
    if any(p.severity == "error" for p in problems):
        return None, problems
    source = Source(path=path, sha256=text.sha256, variant=variant.name)
    recipe = draft.recipe(source, site.site)
    job = Job(recipe=recipe, locate=place, warnings=Report(problems), tree=tree, text=text.origin.text)
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
