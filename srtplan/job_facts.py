"""What a job is, in a few values: for status services and for the metadata of a submission, under srtctl's names.

In: a Recipe. Out: plain data for JSON::

    {"model": {"path": "/models/r1", ...}, "resources": {"gpu_type": "gb200", "prefill_workers": 2, ...},
     "benchmark": {"type": "sa-bench", "isl": 1024, "osl": 128}, "backend_type": "sglang", "frontend_type": "dynamo"}
"""

from __future__ import annotations

from srtplan.ir.recipe import MODES, Recipe


def describe_job(recipe: Recipe) -> dict[str, object]:
    """The values; counts of roles that the recipe lacks are 0, lengths that the benchmark lacks are None."""
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
