"""Rules on mounts: duplicate targets, and placeholders that do not expand to a path (SP210)."""

from __future__ import annotations

from collections.abc import Iterable

from srtplan.diagnostics import Finding
from srtplan.ir.recipe import Recipe
from srtplan.ir.shell import notation
from srtplan.plan.launch.mounts import fill_placeholders


def check(recipe: Recipe) -> Iterable[Finding]:
    """Yield problems of duplicate targets, and of placeholders whose value cannot be mounted (such as a hub id)."""
    yield from _collisions(recipe)
    for m in recipe.mounts:
        for side in (m.source, m.target):
            shown = notation(fill_placeholders(side, recipe))
            if set(shown) & set(",:") or not shown.startswith(("/", "${")):
                yield Finding(
                    rule="SP210",
                    path=m.at,
                    message=f"'{side}' expands to '{shown}', which cannot be mounted",
                    help="write an absolute path without ',' and ':'",
                )


def _collisions(recipe: Recipe) -> Iterable[Finding]:
    """Yield a problem for each target with two sources of the same origin: only the last would be mounted."""
    seen: dict[tuple[str, str], str] = {}
    for m in recipe.mounts:
        first = seen.setdefault((m.origin, m.target.rstrip("/")), m.source)
        if first != m.source:
            yield Finding(
                rule="SP210",
                path=m.at,
                on_key=True,
                message=f"'{first}' and '{m.source}' are both mounted at '{m.target}'",
                help="remove one of them, or write different container paths",
            )
