"""Render the recipe's flags for the workers of a mode.

In: the flags of a role, and those that the engine sets itself. Out: the names of the recipe's flags, and their words,
rendered once for all workers of the mode.
"""

from __future__ import annotations

from functools import lru_cache

from srtplan import flags
from srtplan.plugin import JobContext, Mode, Words, words


@lru_cache(maxsize=4)
def recipe_flags(job: JobContext, mode: Mode, own: frozenset[str]) -> tuple[frozenset[str], Words]:
    """Return the names of a role's flags and its rendered words; flags in ``own`` are left to the engine."""
    role = job.recipe.resources.role(mode)
    assert role is not None  # noqa: S101 -- a worker of this mode exists
    names = frozenset(flags.dashed(k) for k, _ in role.args.pairs) - own
    return names, (*flags.render(role.args, skip=own), *words(*role.extra_args))
