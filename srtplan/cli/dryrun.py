"""dry-run: everything that apply would submit, on stdout; nothing is submitted and nothing written.

Several jobs are first listed with what tells them apart. A job is its page of ``plan.txt``, then the environment by scope,
every command, and the command line of sbatch.
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
from srtplan.plan.show import scopes, serialise, text
from srtplan.submit import slurm


def run(request: Request, *, as_json: bool) -> int:
    """Print all jobs; 1 if any recipe was refused, 70 if srtplan failed at one."""
    say_profile(request.cluster)
    gathered = gather(request)
    problems(gathered.report)
    for refused in gathered.refused if as_json else ():
        print(json.dumps({"status": "error", "error": refused.error, "recipe": refused.argument}))
    if not gathered.is_blocked:
        for part in _lines(gathered.found) if as_json else _pages(gathered.found):
            print(part)
        say(f"{len(gathered.found)} job{'s' if len(gathered.found) != 1 else ''}, nothing was submitted")
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
    """The jobs with their parameters; those of one file are compared with each other."""
    told = [
        p for _, same in groupby(found, lambda f: f.argument) for p in parameters([f.job.tree for f in same])
    ]
    files = len({f.argument for f in found}) > 1
    rows = [
        (str(n), job.plan.name, str(job.plan.nodes.total), *((job.argument,) if files else ()), said)
        for n, (job, said) in enumerate(zip(found, told, strict=True), 1)
    ]
    head = ("#", "name", "nodes", *(("recipe",) if files else ()), "parameters")
    return text.table("JOBS", head, rows)


def _submission(job: Found) -> list[str]:
    argv = slurm.sbatch_argv(Path("bundle/job.sh"), job.base)
    return ["SUBMISSION", f"  {shlex.join(argv)}", f"  everything goes to {job.base}/JOB_ID"]


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
