"""Slurm's commands as a submission uses them: sbatch with a held job, release, cancel.

In: a job script, an output base. Out: ``JobId``; or ``SlurmError`` with what Slurm said. All options::

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
"""sbatch's output below a job's folder."""


class SlurmError(Exception):
    """Slurm refused; the text is what it said. ``is_absent``: the command is not there at all."""

    def __init__(self, message: str, *, is_absent: bool = False) -> None:
        super().__init__(message)
        self.is_absent = is_absent


@frozen
class JobId:
    """A job; ``cluster`` where Slurm named one, which its commands then have to be told."""

    number: str
    cluster: str = ""

    def __str__(self) -> str:
        return self.number


def sbatch_argv(script: Path, base: Path) -> list[str]:
    """The command line that submits."""
    return ["sbatch", "--parsable", "--hold", f"--output={base}/%j/{LOG.format('%j')}", str(script)]


def environment(base: Path, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What the job is told: where it writes, and where its bundle will be. SBATCH_WAIT would wait for a job that is held."""
    own = {"SRTPLAN_OUTPUT": str(base), "SRTPLAN_BUNDLE": f"{base}/%j/bundle"}
    return {k: v for k, v in (os.environ if environ is None else environ).items() if k != "SBATCH_WAIT"} | own


def sbatch(signals: Signals, script: Path, base: Path) -> JobId:
    """Submit a job that does not start before its release. Raises SlurmError."""
    said = _run(signals, sbatch_argv(script, base), environment(base))
    last = said.strip().rpartition("\n")[2]
    found = _PARSABLE.fullmatch(last.strip())
    if found is None:
        raise SlurmError(f"sbatch gave no job id but: {said.strip()!r}")
    return JobId(found[1], found[2] or "")


def release(signals: Signals, job: JobId) -> None:
    """Let a held job start. Raises SlurmError."""
    _run(signals, ["scontrol", *_clusters(job), "release", job.number])


def cancel(signals: Signals, job: JobId) -> None:
    """Take a job out of the queue, or end it. Raises SlurmError."""
    _run(signals, ["scancel", *_clusters(job), job.number])


def _clusters(job: JobId) -> list[str]:
    return [f"--clusters={job.cluster}"] if job.cluster else []


def _run(signals: Signals, argv: list[str], environ: Mapping[str, str] | None = None) -> str:
    try:
        done = signals.run(argv, environ)
    except OSError as error:
        message = f"{argv[0]} cannot be run: {error.strerror}; submit from a login node of the cluster"
        raise SlurmError(message, is_absent=True) from error
    if done.returncode:
        how = "failed" if done.returncode > 0 else "was killed; look for a job on hold (squeue --me)"
        raise SlurmError(f"{argv[0]} {how}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout
