"""Ports that the recipe sets itself and that `--port-offset` does not move (SP419)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from srtplan import flags
from srtplan.diagnostics import Finding, Path
from srtplan.ir.data import EMPTY
from srtplan.ir.recipe import Recipe
from srtplan.plan.topology.port_offset import PORT


def unmoved(recipe: Recipe, offset: int) -> Iterable[Finding]:
    """Ports that the recipe says itself: another job on these nodes would have the same, so the user shall know."""
    for path, name, value in _said(recipe) if offset else ():
        yield Finding(
            rule="SP419",
            path=path,
            severity="warning",
            message=f"--port-offset {offset} does not move '{name}: {value}', which the recipe says itself",
            help="leave it out to have the plan choose and move it",
        )


def _said(recipe: Recipe) -> Iterator[tuple[Path, str, int]]:
    """Options of workers and frontend that are named as ports and have a number."""
    sections = [(role.args_at, role.args) for role in recipe.resources.roles]
    sections.append(((*recipe.frontend.at, "args"), recipe.frontend.args))
    for at, args in sections:
        for key, value in args.pairs:
            number = flags.number(value)
            if flags.dashed(key).rpartition("-")[2] == PORT and number is not None:
                yield (*at, key), key, number
    for role in recipe.resources.roles:
        for n, word in enumerate(role.extra_args):
            name = flags.dashed(word.partition("=")[0].lstrip("-"))
            number = flags.count(EMPTY, role.extra_args[n : n + 2], name)
            if word.startswith("-") and name.rpartition("-")[2] == PORT and number is not None:
                yield (*role.extra_args_at, n), name, number
