"""Stand-in for squeue: the jobs, or with ``--steps`` the live steps, the batch step included as in real Slurm."""

import re
import sys

from srtplan.rehearsal.slurm import hostlist
from srtplan.rehearsal.slurm.options import Known, UsageError, complain, parse
from srtplan.rehearsal.slurm.state import Job, State
from srtplan.rehearsal.slurm.stepd import folder_of
from srtplan.rehearsal.slurm.version import VERSION

KNOWN = Known(
    "squeue",
    values=frozenset({"jobs", "format", "states", "user", "name"}),
    maybe=frozenset({"steps"}),
    flags=frozenset({"noheader", "me", "version", "all"}),
    short={
        "h": "noheader",
        "j": "jobs",
        "o": "format",
        "s": "steps",
        "t": "states",
        "u": "user",
        "n": "name",
        "V": "version",
    },
)
SHORT_STATES = {"PENDING": "PD", "RUNNING": "R", "COMPLETING": "CG"}
HEADERS = {
    "i": "JOBID",
    "j": "NAME",
    "T": "STATE",
    "t": "ST",
    "N": "NODELIST",
    "D": "NODES",
    "r": "REASON",
    "P": "PARTITION",
}
DEFAULT_FORMAT = "%.10i %.20j %.2t %.6D %N"


def main(state: str, argv: list[str]) -> int:
    """Print the jobs or steps that argv asks for and return an exit code."""
    try:
        options, _ = parse(KNOWN, argv)
        if "version" in options:
            sys.stdout.write(f"{VERSION}\n")
            return 0
        numbers = [number for number in options.get("jobs", "").split(",") if number]
        jobs = _chosen(State(folder_of(state)), numbers, options)
    except UsageError as error:
        complain(str(error))
        return error.code
    text = options.get("format", DEFAULT_FORMAT)
    if "noheader" not in options:
        sys.stdout.write(_fill(text, HEADERS) + "\n")
    for job in jobs:
        rows = _steps(job, numbers) if "steps" in options else _rows(job)
        sys.stdout.writelines(_fill(text, row) + "\n" for row in rows)
    return 0


def _chosen(state: State, wanted: list[str], options: dict[str, str]) -> list[Job]:
    """Return the jobs that are not over, of those asked for. A number that was never given out is an error."""
    found = [state.job(number) for number in wanted] if wanted else list(state.jobs())
    if wanted and None in found and "steps" not in options:
        raise UsageError("slurm_load_jobs error: Invalid job id specified", 1)
    by_number = {job.number: job for job in found if job is not None and not job.is_over}
    return list(by_number.values())


def _rows(job: Job) -> list[dict[str, str]]:
    """Return the job's row, or of a heterogeneous job one per component: 7+0, 7+1."""
    numbers = job.components()
    names = [f"{job.number}+{n}" for n in range(len(numbers))] if len(numbers) > 1 else [str(job.number)]
    return [_row(job) | {"i": name, "A": str(number)} for name, number in zip(names, numbers, strict=True)]


def _row(job: Job) -> dict[str, str]:
    record = job.record
    reason = "NodeDown" if (job.folder / "lost").exists() else "None"
    return {
        "j": record["job_name"], "T": job.state, "t": SHORT_STATES.get(job.state, job.state[:2]),
        "N": record.get("nodes", ""), "D": record["num_nodes"], "r": reason, "P": record.get("partition", "main"),
    }  # fmt: skip


def _steps(job: Job, wanted: list[str]) -> list[dict[str, str]]:
    """Return the live steps, the batch step with the first component's."""
    rows = [
        {
            "i": f"{record['job']}.{step.number}",
            "j": record["name"],
            "N": hostlist.compress(record["nodes"].split(",")),
        }
        for step, record in ((step, step.record) for step in job.live_steps())
        if not wanted or record["job"] in wanted
    ]
    if job.batch_pid() is not None and (not wanted or str(job.number) in wanted):
        rows.append({"i": f"{job.number}.batch", "j": "batch", "N": hostlist.expand(job.record["nodes"])[0]})
    return rows


def _fill(text: str, values: dict[str, str]) -> str:
    """Replace ``%i``, ``%.10j`` and the like; what a row does not have stays as written, as in squeue."""

    def value(match: re.Match[str]) -> str:
        size, letter = match.group(2), match.group(3)
        found = values.get(letter)
        if found is None:
            return match.group()
        if not size:
            return found
        width = int(size)
        return found[:width].rjust(width) if match.group(1) else found[:width].ljust(width)

    return re.sub(r"%(\.?)(\d*)([A-Za-z])", value, text)
