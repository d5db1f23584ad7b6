"""The served model name, for engines that take it as a flag.

In: a recipe whose roles may have ``served-model-name``. Out: the name, or findings if the roles disagree.
"""

from __future__ import annotations

from collections.abc import Iterable

from srtplan import flags
from srtplan.plugin import Finding, Recipe, Role

FLAG = "served-model-name"
ORDER = ("prefill", "agg", "decode")


def name(recipe: Recipe) -> str | None:
    """Return the first name set by prefill, aggregated or decode workers."""
    return next((served for _, served in _names(recipe)), None)


def check(recipe: Recipe) -> Iterable[Finding]:
    """Report roles that serve the model under another name: clients request a single name."""
    names = _names(recipe)
    for role, served in names:
        first, first_name = names[0]
        if served != first_name:
            key = next(k for k, _ in role.args.pairs if flags.dashed(k) == FLAG)
            yield Finding(
                rule="SP512",
                path=(*role.args_at, key),
                message=f"{role.mode} workers serve the model as '{served}', "
                f"but {first.mode} workers serve it as '{first_name}'",
                help="set the same `served-model-name` for every role",
            )


def _names(recipe: Recipe) -> list[tuple[Role, str]]:
    roles = [r for mode in ORDER for r in recipe.resources.roles if r.mode == mode]
    found = ((r, flags.lookup(r.args, FLAG)) for r in roles)
    return [(r, str(value)) for r, value in found if value is not None]
