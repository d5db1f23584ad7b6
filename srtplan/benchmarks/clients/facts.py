"""Parameters that describe a benchmark, in the Plan and in its results.

``texts({"isl": 1024, "use_chat_template": True})`` is ``(("isl", "1024"), ("use_chat_template", "true"))``. The
parameters describe the workload: only jobs with equal ones share a Pareto front (``srtplan.results.read.workload``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from srtplan.plugin import RUN_DIR, Map, Recipe, Word, thaw, word


def texts(values: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Return values as strings: booleans in lowercase, None as the empty string, mappings as JSON."""
    return tuple((k, _text(v)) for k, v in values.items())


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Map):
        return json.dumps(thaw(value), sort_keys=True) if value else ""
    return "" if value is None else str(value)


def gpus_by_mode(recipe: Recipe) -> dict[str, int]:
    """Return the number of GPUs that the workers of each mode use."""
    roles = {r.mode: r.workers * r.gpus for r in recipe.resources.roles}
    return {mode: roles.get(mode, 0) for mode in ("prefill", "decode", "agg")}


def results(*parts: str) -> Word:
    """Return a path below the run's results: ``results("a", "b.json")`` is ``${RUN_DIR}/results/a/b.json``."""
    return word(RUN_DIR, "/results/", "/".join(parts))
