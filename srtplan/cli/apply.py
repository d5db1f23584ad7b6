"""apply: recipes into the queue.

stdout is data: the number of each job, or with ``--json`` a line of JSON per job; everything for people goes to stderr.
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
from srtplan.submit.metadata import Order
from srtplan.submit.signals import Signals
from srtplan.submit.transaction import SubmitError, Submitted, submit


def run(request: Request, *, as_json: bool, yes: bool) -> int:
    """Submit all jobs; 1 if any recipe was refused or any job not submitted, 70 if srtplan itself failed at one."""
    say_profile(request.cluster)
    gathered = gather(request)
    problems(gathered.report)
    for refused in gathered.refused:
        _tell_refused(refused, as_json=as_json)
    if gathered.is_blocked:
        good = f"; {_jobs(len(gathered.found))} would have been fine" if gathered.found else ""
        say(f"nothing was submitted{good}")
        return gathered.code
    if not yes and not _agreed(gathered):
        if as_json:
            print(json.dumps({"status": "no-submissions"}))
        say("nothing was submitted")
        return 1
    return _submit_all(request, gathered, as_json=as_json)


def _agreed(gathered: Gathered) -> bool:
    """Ask where somebody can answer and there is more than one job."""
    if len(gathered.found) == 1 or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    import click  # noqa: PLC0415

    for f in gathered.found:
        say(f"  {f.plan.name}  ({_count(f.plan.nodes.total, 'node')}, {f.argument})")
    return click.confirm(f"Submit {_jobs(len(gathered.found))}?", err=True)


def _submit_all(request: Request, gathered: Gathered, *, as_json: bool) -> int:
    total, done, failed, code = len(gathered.found), 0, 0, gathered.code
    with Signals() as signals:
        try:
            for found in gathered.found:
                signals.check()
                if (writer := _rendered(found, as_json=as_json)) is None:
                    failed, code = failed + 1, INTERNAL
                    continue
                try:
                    submitted = submit(_order(request, found), writer, found.base, signals)
                except SubmitError as e:
                    failed += 1
                    _tell_failed(found, e, as_json=as_json)
                    signals.check()
                    if e.is_final:
                        break
                else:
                    done += 1
                    _tell(submitted, found, as_json=as_json)
        except KeyboardInterrupt as e:
            for left in e.args[0] if e.args else ():
                say(f"srtplan: {left}")
            say(f"interrupted: {done} of {_jobs(total)} submitted")
            raise
    refused = f", {_count(len(gathered.refused), 'recipe')} refused" if gathered.refused else ""
    if total > 1 or failed or refused:
        say(f"{done} of {_jobs(total)} submitted{refused}")
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
    return path if path == STDIN else os.path.abspath(path)  # noqa: PTH100 -- links stay


class _writer:  # noqa: N801 -- a function with a memory
    """Writes the bundle of a job to a folder. Raises OSError."""

    def __init__(self, found: Found) -> None:
        self.bundle = pipeline.bundle(found.plan)

    def __call__(self, folder: Path) -> None:
        from srtplan.bundle.write import WriteError  # noqa: PLC0415

        try:
            pipeline.write(self.bundle, folder)
        except WriteError as e:
            raise OSError(str(e)) from e


def _rendered(found: Found, *, as_json: bool) -> _writer | None:
    """The writer of a job; None where srtplan fails to render it, which does not concern the others."""
    try:
        return _writer(found)
    except Exception as e:  # noqa: BLE001
        _tell_failed(found, internal(e, found.argument), as_json=as_json)
        return None


def _tell(submitted: Submitted, found: Found, *, as_json: bool) -> None:
    """One job that is in the queue."""
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
    say(f"job {submitted.job}: {submitted.name}, {_count(found.plan.nodes.total, 'node')}")
    say(f"  everything  {folder}")
    say(f"  its log     tail -f {submitted.log}")
    say(f"  step logs   {folder}/latest/logs")
    say(f"  end it      {folder}/bundle/stop {submitted.job}")
    if submitted.held:
        say(f"  on hold, as its recipe asks; start it by: scontrol release {submitted.job}")
    for note in submitted.notes:
        say(f"  not reported: {note}")


def _tell_failed(found: Found, error: SubmitError | str, *, as_json: bool) -> None:
    if as_json:
        line = {"status": "error", "error": str(error), "job_name": found.plan.name, "recipe": found.argument}
        print(json.dumps(line), flush=True)
    say(f"srtplan: {found.plan.name} was not submitted: {error}")


def _tell_refused(refused: Refused, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"status": "error", "error": refused.error, "recipe": refused.argument}), flush=True)


def _jobs(count: int) -> str:
    return _count(count, "job")


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count != 1 else ''}"
