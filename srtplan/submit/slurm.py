"""Run the Slurm commands of a submission: sbatch with ``--hold``, release and cancel.

In: a job script and an output base. Out: a ``JobId``, or a ``SlurmError`` with Slurm's message. All options::

    sbatch --parsable --hold --output=BASE/%j/logs/srtplan-%j.log STAGING/bundle/job.sh
    scontrol [--clusters=NAME] release ID
    scancel [--clusters=NAME] ID
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from srtplan.submit.signals import Signals

_PARSABLE = re.compile(r"(\d+)(?:;(\S+))?")
LOG = "logs/srtplan-{}.log"
"""Path of sbatch's output in a job's directory."""


class SlurmError(Exception):
    """A Slurm command failed; the text has its message. ``is_absent``: the command was not found."""

    def __init__(self, message: str, *, is_absent: bool = False) -> None:
        super().__init__(message)
        self.is_absent = is_absent


@frozen
class JobId:
    """A job number, and the cluster if Slurm named one; commands then need ``--clusters``."""

    number: str
    cluster: str = ""

    def __str__(self) -> str:
        return self.number


def sbatch_argv(script: Path, base: Path) -> list[str]:
    """The command line of sbatch."""
    return ["sbatch", "--parsable", "--hold", f"--output={base}/%j/{LOG.format('%j')}", str(script)]


def environment(base: Path, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of sbatch, with the output base and the future path of the bundle.

    SBATCH_WAIT is removed: sbatch would wait for the end of a job that is on hold.
    """
    own = {"SRTPLAN_OUTPUT": str(base), "SRTPLAN_BUNDLE": f"{base}/%j/bundle"}
    return {k: v for k, v in (os.environ if environ is None else environ).items() if k != "SBATCH_WAIT"} | own


def sbatch(signals: Signals, script: Path, base: Path) -> JobId:
    """Submit a job on hold. Raises SlurmError."""
    output = _run(signals, sbatch_argv(script, base), environment(base))
    last = output.strip().rpartition("\n")[2]
    found = _PARSABLE.fullmatch(last.strip())
    if found is None:
        raise SlurmError(f"sbatch printed no job id: {output.strip()!r}")
    return JobId(found[1], found[2] or "")


def release(signals: Signals, job: JobId) -> None:
    """Release a held job. Raises SlurmError."""
    _run(signals, ["scontrol", *_clusters(job), "release", job.number])


def cancel(signals: Signals, job: JobId) -> None:
    """Cancel a job. Raises SlurmError."""
    _run(signals, ["scancel", *_clusters(job), job.number])


def _clusters(job: JobId) -> list[str]:
    return [f"--clusters={job.cluster}"] if job.cluster else []


def _run(signals: Signals, argv: list[str], environ: Mapping[str, str] | None = None) -> str:
    try:
        result = signals.run(argv, environ)
    except OSError as error:
        message = f"cannot run {argv[0]}: {error.strerror}; submit from a login node of the cluster"
        raise SlurmError(message, is_absent=True) from error
    if result.returncode:
        how = "failed" if result.returncode > 0 else "was killed; check for a held job with: squeue --me"
        raise SlurmError(f"{argv[0]} {how}: {result.stderr.strip() or f'exit code {result.returncode}'}")
    return result.stdout
