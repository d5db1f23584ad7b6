"""Programs that are installed where the image has none: a field of the recipe, a pinned default, one check for all.

In: the recipe and the package. Out: the call of the preamble, what is mounted and looked for beforehand, findings::

    AIPERF.needed(recipe)   ->  bench::need aiperf aiperf==0.13.0
    AIPERF.inputs(recipe)   ->  the wheel /wheels/aiperf.whl, if aiperf_package names it
    AIPERF.check(recipe)    ->  SP706 at benchmark.aiperf_package: 'aiperf' is not pinned
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from attrs import frozen

from srtplan.benchmarks.clients import checks
from srtplan.plugin import Finding, Input, Recipe, Words, words

COMMIT = re.compile(r"git\+.*@([0-9a-f]{7,40}|v?[0-9][^/@]*)(#.*)?$")
VERSION = re.compile(r"===?[^*]+$")


@frozen(kw_only=True)
class Package:
    """``program`` comes from ``default``, unless the field of the benchmark says something else."""

    program: str
    field: str
    default: str

    def given(self, recipe: Recipe) -> str | None:
        """What the recipe says."""
        value: str | None = getattr(recipe.benchmark.options, self.field)
        return value

    def chosen(self, recipe: Recipe) -> str:
        """What is installed where the image has no such program."""
        return self.given(recipe) or self.default

    def needed(self, recipe: Recipe) -> Words:
        """The preamble that gets the program into the container."""
        return words("bench::need", self.program, self.chosen(recipe))

    def inputs(self, recipe: Recipe) -> tuple[Input, ...]:
        """The package, where it is a file or an address."""
        where = place(self.given(recipe) or "")
        found = where.startswith(("/", "http://", "https://"))
        return (Input(path=where, why=f"benchmark.{self.field}"),) if found else ()

    def check(self, recipe: Recipe, *, used: bool = True) -> Iterable[Finding]:
        """A package that may be another one tomorrow; a file that is nowhere; one that nobody installs."""
        given = self.given(recipe)
        if not given:
            return
        if not used:
            yield checks.unused(recipe, self.field, f"nothing of this benchmark runs {self.program}")
        elif place(given).endswith(".whl") and not (place(given).startswith("/") or "://" in given):
            yield checks.bad(recipe, self.field, "must be an absolute path, or an address")
        elif not pinned(given):
            yield Finding(
                rule="SP706",
                path=(*recipe.benchmark.at, self.field),
                severity="warning",
                message=f"'{given}' is not pinned: two runs of this recipe may use two versions",
                help=f"write a version ({self.default}), a wheel, or a repository with a commit",
            )


AIPERF = Package(program="aiperf", field="aiperf_package", default="aiperf==0.13.0")
LM_EVAL = Package(program="lm_eval", field="lm_eval_package", default="lm-eval[api]==0.4.13")
"""The versions that the command lines were checked with."""


def place(package: str) -> str:
    """Where pip looks: ``lm-eval[api] @ /w.whl`` and ``/w.whl[api]`` are the file; a bare name is itself."""
    where = (package.partition(" @ ")[2] or package).removeprefix("file://")
    return where.partition("[")[0] if where.startswith("/") else where


def pinned(package: str) -> bool:
    """A version, a file, or a repository with a commit or a tag of a version."""
    where = place(package)
    if "git+" in where:
        return COMMIT.search(where) is not None
    return where.startswith("/") or where.endswith((".whl", ".tar.gz")) or VERSION.search(where) is not None
