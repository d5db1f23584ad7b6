"""``report.json``: the metadata that job.sh sends to status services at its start, as one line.

The API is srtctl's: ``PUT <service>/api/jobs/<id>`` with ``metadata``; see ``templates/lib/report.sh``.
"""

from __future__ import annotations

import json

from srtplan.ir.plan import PlanFile
from srtplan.ir.recipe import Recipe
from srtplan.ir.shell import Lit
from srtplan.job_facts import describe_job

FILE = "report.json"


def files(recipe: Recipe) -> tuple[PlanFile, ...]:
    """The file; empty if the recipe has no status service."""
    if not recipe.reporting.endpoints:
        return ()
    text = json.dumps(describe_job(recipe), separators=(",", ":"))
    return (PlanFile(path=FILE, content=Lit(text + "\n")),)
