"""The name that a model is served under, where an engine takes it by a flag.

In: a recipe whose roles may have ``served-model-name``. Out: the name, or findings where the roles disagree.
"""

from __future__ import annotations

from collections.abc import Iterable

from srtplan import flags
from srtplan.plugin import Finding, Recipe, Role

FLAG = "served-model-name"
ORDER = ("prefill", "agg", "decode")


def name(recipe: Recipe) -> str | None:
    """The first that prefill, aggregated and decode workers say."""
    return next((served for _, served in _names(recipe)), None)


def check(recipe: Recipe) -> Iterable[Finding]:
    """All workers of a job serve one model under one name: clients ask for one."""
    first = name(recipe)
    for role, served in _names(recipe):
        if served != first:
            key = next(k for k, _ in role.args.pairs if flags.dashed(k) == FLAG)
            yield Finding(
                rule="SP512",
                path=(*role.args_at, key),
                message=f"{role.mode} workers would serve '{served}', but the name of the model is '{first}'",
                help="give all roles one name",
            )


def _names(recipe: Recipe) -> list[tuple[Role, str]]:
    roles = [r for mode in ORDER for r in recipe.resources.roles if r.mode == mode]
    found = ((r, flags.lookup(r.args, FLAG)) for r in roles)
    return [(r, str(value)) for r, value in found if value is not None]
