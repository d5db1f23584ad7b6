"""A short description of a job, for status services and the metadata of a submission, with srtctl's key names.

In: a Recipe. Out: plain data for JSON::

    {"model": {"path": "/models/r1", ...}, "resources": {"gpu_type": "gb200", "prefill_workers": 2, ...},
     "benchmark": {"type": "sa-bench", "isl": 1024, "osl": 128}, "backend_type": "sglang", "frontend_type": "dynamo"}
"""

from __future__ import annotations

from srtplan.ir.recipe import MODES, Recipe


def describe_job(recipe: Recipe) -> dict[str, object]:
    """The description of a recipe's job. Counts of unused roles are 0; ``isl`` and ``osl`` are None if not set."""
    model, resources, options = recipe.model, recipe.resources, recipe.benchmark.options
    roles = {m: resources.role(m) for m in MODES}
    counts = {
        **{f"{m}_nodes": r.nodes if r else 0 for m, r in roles.items()},
        **{f"{m}_workers": r.workers if r else 0 for m, r in roles.items()},
        **{f"gpus_per_{m}": r.gpus if r else 0 for m, r in roles.items()},
    }
    return {
        "model": {"path": model.path, "container": model.container, "precision": model.precision},
        "resources": {
            "gpu_type": resources.gpu_type,
            "gpus_per_node": resources.gpus_per_node,
            **counts,
        },
        "backend_type": recipe.engine.type,
        "frontend_type": recipe.frontend.type,
        "benchmark": {
            "type": recipe.benchmark.type,
            "isl": getattr(options, "isl", None),
            "osl": getattr(options, "osl", None),
        },
    }
