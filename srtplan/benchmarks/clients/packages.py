"""Programs that are installed if the image does not contain them: a recipe field with a pinned default.

In: the recipe and the package. Out: the preamble call, files to mount and check, and findings::

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
    """A package that contains ``program``: ``default``, unless ``field`` of the benchmark names another one."""

    program: str
    field: str
    default: str

    def requested(self, recipe: Recipe) -> str | None:
        """Return the package that the recipe names, if any."""
        value: str | None = getattr(recipe.benchmark.options, self.field)
        return value

    def chosen(self, recipe: Recipe) -> str:
        """Return the package to install if the image does not contain the program."""
        return self.requested(recipe) or self.default

    def needed(self, recipe: Recipe) -> Words:
        """Return the preamble call that makes the program available in the container."""
        return words("bench::need", self.program, self.chosen(recipe))

    def inputs(self, recipe: Recipe) -> tuple[Input, ...]:
        """Return the package if it is a file or a URL."""
        where = place(self.requested(recipe) or "")
        is_file = where.startswith(("/", "http://", "https://"))
        return (Input(path=where, why=f"benchmark.{self.field}"),) if is_file else ()

    def check(self, recipe: Recipe, *, used: bool = True) -> Iterable[Finding]:
        """Report packages that are not pinned, relative paths of wheels, and packages that are never installed."""
        package = self.requested(recipe)
        if not package:
            return
        if not used:
            yield checks.without_effect(recipe, self.field, f"this benchmark does not run {self.program}")
        elif place(package).endswith(".whl") and not (place(package).startswith("/") or "://" in package):
            yield checks.invalid(recipe, self.field, "must be an absolute path or a URL")
        elif not pinned(package):
            yield Finding(
                rule="SP706",
                path=(*recipe.benchmark.at, self.field),
                severity="warning",
                message=f"'{package}' is not pinned: runs of this recipe may use different versions",
                help=f"write a version (`{self.default}`), a wheel, or a repository with a commit",
            )


AIPERF = Package(program="aiperf", field="aiperf_package", default="aiperf==0.13.0")
LM_EVAL = Package(program="lm_eval", field="lm_eval_package", default="lm-eval[api]==0.4.13")
"""The versions against which the command lines are tested."""


def place(package: str) -> str:
    """Return the location that pip uses: ``/w.whl`` for ``lm-eval[api] @ /w.whl`` and ``/w.whl[api]``."""
    where = (package.partition(" @ ")[2] or package).removeprefix("file://")
    return where.partition("[")[0] if where.startswith("/") else where


def pinned(package: str) -> bool:
    """Return whether a package is a version, a file, or a repository with a commit or version tag."""
    where = place(package)
    if "git+" in where:
        return COMMIT.search(where) is not None
    return where.startswith("/") or where.endswith((".whl", ".tar.gz")) or VERSION.search(where) is not None
