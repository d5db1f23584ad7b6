"""Mounts: two at one target, and placeholders that do not become a path (SP210)."""

from __future__ import annotations

from collections.abc import Iterable

from srtplan.diagnostics import Finding
from srtplan.ir.recipe import Recipe
from srtplan.ir.shell import notation
from srtplan.plan.launch.mounts import fill_placeholders


def check(recipe: Recipe) -> Iterable[Finding]:
    """Two mounts at one place; a placeholder for something that no mount can hold: a hub id, an image reference."""
    yield from _collisions(recipe)
    for m in recipe.mounts:
        for side in (m.source, m.target):
            shown = notation(fill_placeholders(side, recipe))
            if set(shown) & set(",:") or not shown.startswith(("/", "${")):
                yield Finding(
                    rule="SP210",
                    path=m.at,
                    message=f"'{side}' becomes '{shown}', which is no path that can be mounted",
                    help="mounts are separated by commas and colons; write the path itself",
                )


def _collisions(recipe: Recipe) -> Iterable[Finding]:
    """Two sources for one target, asked for in the same place: only the last would be there."""
    seen: dict[tuple[str, str], str] = {}
    for m in recipe.mounts:
        first = seen.setdefault((m.origin, m.target.rstrip("/")), m.source)
        if first != m.source:
            yield Finding(
                rule="SP210",
                path=m.at,
                on_key=True,
                message=f"'{first}' and '{m.source}' are both mounted at '{m.target}'",
                help="keep one of them, or give them different targets",
            )
