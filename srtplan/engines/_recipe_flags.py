"""The recipe's own flags for the workers of a mode.

In: the flags of a role and which of them the engine decides. Out: their names, and all the recipe's words, made once for all
workers of the mode.
"""

from __future__ import annotations

from functools import lru_cache

from srtplan import flags
from srtplan.plugin import JobContext, Mode, Words, words


@lru_cache(maxsize=4)
def recipe_flags(job: JobContext, mode: Mode, own: frozenset[str]) -> tuple[frozenset[str], Words]:
    """Names of a role's flags, without dashes in front, and its words; what is the engine's ``own`` is left out."""
    role = job.recipe.resources.role(mode)
    assert role is not None  # noqa: S101 -- there is a worker of it
    names = frozenset(flags.dashed(k) for k, _ in role.args.pairs) - own
    return names, (*flags.render(role.args, skip=own), *words(*role.extra_args))
