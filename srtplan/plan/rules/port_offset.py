"""Ports that the recipe sets, which `--port-offset` does not move (SP419)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from srtplan import flags
from srtplan.diagnostics import Finding, Path
from srtplan.ir.data import EMPTY
from srtplan.ir.recipe import Recipe
from srtplan.plan.topology.port_offset import PORT


def unmoved(recipe: Recipe, offset: int) -> Iterable[Finding]:
    """Warn about ports that the recipe sets: another job of the recipe on these nodes would use the same ones."""
    for path, name, value in _port_options(recipe) if offset else ():
        yield Finding(
            rule="SP419",
            path=path,
            severity="warning",
            message=f"--port-offset {offset} does not change '{name}: {value}', which the recipe sets",
            help="remove it; srtplan then chooses the port",
        )


def _port_options(recipe: Recipe) -> Iterator[tuple[Path, str, int]]:
    """Yield the options of workers and frontend that are ports by their name and have a number."""
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
