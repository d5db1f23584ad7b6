"""Stand-in for squeue: the jobs, or with ``--steps`` the live steps, the batch step included as in real Slurm.

Formats are made of ``%i`` (id), ``%j`` (name), ``%T`` (state) and ``%r`` (reason).
"""

import re
import sys

from srtplan.rehearsal.slurm import options
from srtplan.rehearsal.slurm.state import Job, State

KNOWN = options.Known(
    "squeue", values="jobs format", maybe="steps", flags="noheader version",
    short={"h": "noheader", "j": "jobs", "o": "format", "s": "steps", "V": "version"},
)  # fmt: skip
HEADERS = {"i": "JOBID", "j": "NAME", "T": "STATE", "r": "REASON"}


def main(state: str, argv: list[str]) -> int:
    """Print the jobs or steps that argv asks for and return an exit code."""
    return options.run(KNOWN, argv, lambda given, _: _list(State(state), given))


def _list(state: State, given: dict[str, str]) -> int:
    numbers = [number for number in given.get("jobs", "").split(",") if number]
    lines = [] if "noheader" in given else [HEADERS]
    for job in _chosen(state, numbers, is_strict="steps" not in given):
        lines += _steps(job, numbers) if "steps" in given else _rows(job)
    text = given.get("format", "%i %j %T %r")
    sys.stdout.writelines(f"{_filled(text, line)}\n" for line in lines)
    return 0


def _chosen(state: State, wanted: list[str], *, is_strict: bool) -> list[Job]:
    """Return the requested jobs that have not ended. A number that was never assigned is an error."""
    found = [state.job(number) for number in wanted] if wanted else list(state.jobs())
    if None in found and is_strict:
        raise options.UsageError("slurm_load_jobs error: Invalid job id specified", 1)
    by_number = {job.number: job for job in found if job is not None and not job.is_over}
    return list(by_number.values())


def _rows(job: Job) -> list[dict[str, str]]:
    """Return the job's row, or of a heterogeneous job one per component: 7+0, 7+1."""
    count = len(job.components())
    names = [f"{job.number}+{n}" for n in range(count)] if count > 1 else [str(job.number)]
    reason = "NodeDown" if (job.folder / "lost").exists() else "None"
    row = {"j": job.record["job_name"], "T": job.state, "r": reason}
    return [row | {"i": name} for name in names]


def _steps(job: Job, wanted: list[str]) -> list[dict[str, str]]:
    """Return the live steps, the batch step with the first component's."""
    records = [(step, step.record) for step in job.live_steps()]
    rows = [
        {"i": f"{record['job']}.{step.number}", "j": record["name"]}
        for step, record in records
        if not wanted or record["job"] in wanted
    ]
    if job.batch_pid() is not None and (not wanted or str(job.number) in wanted):
        rows.append({"i": f"{job.number}.batch", "j": "batch"})
    return rows


def _filled(text: str, values: dict[str, str]) -> str:
    """Replace ``%i`` and the like; what a row does not have stays as written, as in squeue."""
    return re.sub(r"%([A-Za-z])", lambda match: values.get(match.group(1), match.group()), text)
