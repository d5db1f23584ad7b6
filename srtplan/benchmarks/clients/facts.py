"""What a benchmark says about itself, in the Plan and in its results.

``texts({"isl": 1024, "use_chat_template": True})`` is ``(("isl", "1024"), ("use_chat_template", "true"))``. What they say
is the workload: only jobs that say the same have a Pareto front together (``srtplan.results.read.workload``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from srtplan.plugin import RUN_DIR, Map, Recipe, Word, thaw, word


def texts(values: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Values as texts: true and false in small letters, None as nothing, further flags of a program as JSON."""
    return tuple((k, _text(v)) for k, v in values.items())


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Map):
        return json.dumps(thaw(value), sort_keys=True) if value else ""
    return "" if value is None else str(value)


def gpus_by_mode(recipe: Recipe) -> dict[str, int]:
    """GPUs that the workers of each mode use."""
    roles = {r.mode: r.workers * r.gpus for r in recipe.resources.roles}
    return {mode: roles.get(mode, 0) for mode in ("prefill", "decode", "agg")}


def results(*parts: str) -> Word:
    """A path below the run's results: ``results("a", "b.json")`` is ``${RUN_DIR}/results/a/b.json``."""
    return word(RUN_DIR, "/results/", "/".join(parts))
