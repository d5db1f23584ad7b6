"""What the job tells status services of itself when it starts: ``report.json``, one line that job.sh reads.

srtctl's API: ``PUT <service>/api/jobs/<id>`` with ``metadata`` at the job's start; see ``templates/lib/report.sh``.
"""

from __future__ import annotations

import json

from srtplan.ir.plan import PlanFile
from srtplan.ir.recipe import Recipe
from srtplan.ir.shell import Lit
from srtplan.job_facts import describe_job

FILE = "report.json"


def files(recipe: Recipe) -> tuple[PlanFile, ...]:
    """The file, for a recipe that reports to somebody."""
    if not recipe.reporting.endpoints:
        return ()
    text = json.dumps(describe_job(recipe), separators=(",", ":"))
    return (PlanFile(path=FILE, content=Lit(text + "\n")),)
