"""The ``dry-run`` command: print what ``apply`` would submit, without submitting or writing anything.

Several jobs are first listed with the parameters in which they differ. Each job is its ``plan.txt``, then its
environment by scope, every command, and the command line of sbatch.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from srtplan.bundle.commands import commands
from srtplan.cli.gather import Found, Request, gather
from srtplan.cli.output import problems, say, say_profile
from srtplan.cli.parameters import parameters
from srtplan.diagnostics import count_of
from srtplan.plan.show import scopes, serialise, text
from srtplan.submit import slurm


def run(request: Request, *, as_json: bool) -> int:
    """Print all jobs. Returns 1 if a recipe was refused, 70 after an internal error."""
    say_profile(request.cluster)
    gathered = gather(request)
    problems(gathered.report)
    for refused in gathered.refused if as_json else ():
        print(json.dumps({"status": "error", "error": refused.error, "recipe": refused.argument}))
    if not gathered.is_blocked:
        for part in _lines(gathered.found) if as_json else _pages(gathered.found):
            print(part)
        say(f"{count_of(len(gathered.found), 'job')}, nothing was submitted")
    return gathered.code


def _pages(found: tuple[Found, ...]) -> Iterator[str]:
    total = len(found)
    if total > 1:
        yield "\n".join(_table(found))
    for number, job in enumerate(found, 1):
        if total > 1:
            yield f"\n==== {number} of {total}: {job.plan.name} ====\n"
        yield text.render(job.plan)
        yield "\n".join((*scopes.environment(job.plan), "", *commands(job.plan), "", *_submission(job)))


def _table(found: tuple[Found, ...]) -> list[str]:
    """Return the table of jobs with their parameters. Jobs of one file are compared with each other."""
    differences = [
        p for _, jobs in groupby(found, lambda f: f.argument) for p in parameters([f.job.tree for f in jobs])
    ]
    files = len({f.argument for f in found}) > 1
    rows = [
        (str(n), job.plan.name, str(job.plan.nodes.total), *((job.argument,) if files else ()), difference)
        for n, (job, difference) in enumerate(zip(found, differences, strict=True), 1)
    ]
    head = ("#", "name", "nodes", *(("recipe",) if files else ()), "parameters")
    return text.table("JOBS", head, rows)


def _submission(job: Found) -> list[str]:
    argv = slurm.sbatch_argv(Path("bundle/job.sh"), job.base)
    return ["SUBMISSION", f"  {shlex.join(argv)}", f"  run directory: {job.base}/JOB_ID"]


def _lines(found: tuple[Found, ...]) -> Iterator[str]:
    for job in found:
        line = {
            "status": "dry-run",
            "job_name": job.plan.name,
            "recipe": job.argument,
            "variant": job.plan.recipe.variant,
            "output_base": str(job.base),
            "sbatch": slurm.sbatch_argv(Path("bundle/job.sh"), job.base),
            "plan": serialise.to_data(job.plan),
        }
        yield json.dumps(line)
