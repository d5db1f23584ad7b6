"""The ``apply`` command: compile recipes and submit the jobs.

stdout is data: one job id per line, or with ``--json`` one line of JSON per job. Text for people goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from srtplan import pipeline
from srtplan.cli.gather import Found, Gathered, Refused, Request, gather
from srtplan.cli.output import INTERNAL, internal, problems, say, say_profile
from srtplan.config.yaml.source import STDIN
from srtplan.diagnostics import count_of
from srtplan.submit.metadata import Order
from srtplan.submit.signals import Signals
from srtplan.submit.transaction import SubmitError, Submitted, submit


def run(request: Request, *, as_json: bool, yes: bool) -> int:
    """Submit all jobs.

    Returns 1 if a recipe was refused or a job not submitted, 70 after an internal error.
    """
    say_profile(request.cluster)
    gathered = gather(request)
    problems(gathered.report)
    for refused in gathered.refused:
        _report_refused(refused, as_json=as_json)
    if gathered.is_blocked:
        valid = f"; {_jobs(len(gathered.found))} would have been valid" if gathered.found else ""
        say(f"nothing was submitted{valid}")
        return gathered.code
    if not yes and not _is_confirmed(gathered):
        if as_json:
            print(json.dumps({"status": "no-submissions"}))
        say("nothing was submitted")
        return 1
    return _submit_all(request, gathered, as_json=as_json)


def _is_confirmed(gathered: Gathered) -> bool:
    """Ask before submitting several jobs, if stdin and stderr are a terminal; otherwise return True."""
    if len(gathered.found) == 1 or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    import click  # noqa: PLC0415

    for f in gathered.found:
        say(f"  {f.plan.name}  ({count_of(f.plan.nodes.total, 'node')}, {f.argument})")
    return click.confirm(f"Submit {_jobs(len(gathered.found))}?", err=True)


def _submit_all(request: Request, gathered: Gathered, *, as_json: bool) -> int:
    total, submitted_count, failed, code = len(gathered.found), 0, 0, gathered.code
    with Signals() as signals:
        try:
            for found in gathered.found:
                signals.check()
                if (writer := _writer_of(found, as_json=as_json)) is None:
                    failed, code = failed + 1, INTERNAL
                    continue
                try:
                    submitted = submit(_order(request, found), writer, found.base, signals)
                except SubmitError as e:
                    failed += 1
                    _report_failed(found, e, as_json=as_json)
                    signals.check()
                    if e.is_final:
                        break
                else:
                    submitted_count += 1
                    _report_submitted(submitted, found, as_json=as_json)
        except KeyboardInterrupt as e:
            for left in e.args[0] if e.args else ():
                say(f"srtplan: {left}")
            say(f"interrupted: {submitted_count} of {_jobs(total)} submitted")
            raise
    refused = f", {count_of(len(gathered.refused), 'recipe')} refused" if gathered.refused else ""
    if total > 1 or failed or refused:
        say(f"{submitted_count} of {_jobs(total)} submitted{refused}")
    return code or int(bool(failed))


def _order(request: Request, found: Found) -> Order:
    return Order(
        plan=found.plan,
        recipe=found.job.recipe,
        path=_absolute(found.job.recipe.source.path),
        text=found.job.text,
        tags=request.tags,
        sets=request.changes,
    )


def _absolute(path: str) -> str:
    return path if path == STDIN else os.path.abspath(path)  # noqa: PTH100 -- keep links


class _writer:  # noqa: N801 -- a function with a memory
    """Write the bundle of a job to a folder. Raises OSError."""

    def __init__(self, found: Found) -> None:
        self.bundle = pipeline.bundle(found.plan)

    def __call__(self, folder: Path) -> None:
        from srtplan.bundle.write import WriteError  # noqa: PLC0415

        try:
            pipeline.write(self.bundle, folder)
        except WriteError as e:
            raise OSError(str(e)) from e


def _writer_of(found: Found, *, as_json: bool) -> _writer | None:
    """Return the writer of a job; None after an internal error, so that the other jobs are still submitted."""
    try:
        return _writer(found)
    except Exception as e:  # noqa: BLE001
        _report_failed(found, internal(e, found.argument), as_json=as_json)
        return None


def _report_submitted(submitted: Submitted, found: Found, *, as_json: bool) -> None:
    """Print where to find a submitted job, its logs and its stop command."""
    folder = submitted.folder
    if as_json:
        line = {
            "status": "submitted",
            "slurm_job_id": submitted.job.number,
            "job_name": submitted.name,
            "output_dir": str(folder),
            "metadata_path": str(submitted.metadata),
            "config_path": str(submitted.config),
            "log_path": str(submitted.log),
            "recipe": found.argument,
            "variant": found.plan.recipe.variant,
            "tags": list(submitted.tags),
        }
        print(json.dumps(line), flush=True)
    else:
        print(submitted.job, flush=True)
    say(f"job {submitted.job}: {submitted.name}, {count_of(found.plan.nodes.total, 'node')}")
    say(f"  directory   {folder}")
    say(f"  job log     tail -f {submitted.log}")
    say(f"  step logs   {folder}/latest/logs")
    say(f"  stop it     {folder}/bundle/stop {submitted.job}")
    if submitted.held:
        say(f"  held by its recipe; start it with: scontrol release {submitted.job}")
    for note in submitted.notes:
        say(f"  not reported: {note}")


def _report_failed(found: Found, error: SubmitError | str, *, as_json: bool) -> None:
    if as_json:
        line = {"status": "error", "error": str(error), "job_name": found.plan.name, "recipe": found.argument}
        print(json.dumps(line), flush=True)
    say(f"srtplan: {found.plan.name} was not submitted: {error}")


def _report_refused(refused: Refused, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"status": "error", "error": refused.error, "recipe": refused.argument}), flush=True)


def _jobs(count: int) -> str:
    return count_of(count, "job")
