"""Stand-in for scontrol: ``show hostnames [LIST]``, ``show job [-o] ID`` and ``release ID``.

Out: the host names one a line, or the job's record on one line (``Command=`` has the path as submitted); nothing for a
release, also of a job that was not held.
"""

import os
import sys

from srtplan.rehearsal.slurm import hostlist
from srtplan.rehearsal.slurm.options import Known, UsageError, complain, parse_anywhere
from srtplan.rehearsal.slurm.state import Job, State
from srtplan.rehearsal.slurm.stepd import folder_of
from srtplan.rehearsal.slurm.version import VERSION

KNOWN = Known(
    "scontrol",
    frozenset(),
    flags=frozenset({"oneliner", "version", "quiet"}),
    short={"o": "oneliner", "V": "version"},
)


def main(state: str, argv: list[str]) -> int:
    """Answer one command and return its exit code."""
    try:
        options, words = parse_anywhere(KNOWN, argv)
    except UsageError as error:
        complain(str(error))
        return error.code
    if "version" in options:
        sys.stdout.write(f"{VERSION}\n")
        return 0
    return _answer(state, words, is_one_line="oneliner" in options)


def _answer(state: str, words: list[str], *, is_one_line: bool) -> int:
    match words:
        case ["show", "hostnames", *rest]:
            return _hostnames(rest[0] if rest else os.environ.get("SLURM_JOB_NODELIST", ""))
        case ["show", "job" | "jobid", *rest]:
            return _jobs(State(folder_of(state)), rest, is_one_line=is_one_line)
        case ["release", *numbers]:
            return _release(State(folder_of(state)), numbers)
        case ["show", entity, *_]:
            complain(f"invalid entity:{entity} for keyword:show ")
            return 1
        case _:
            complain(
                f"scontrol: the rehearsal answers only show hostnames, show job and release, not: {' '.join(words)}"
            )
            return 1


def _hostnames(text: str) -> int:
    """Print a host list's names; 22.05 complains about a bad one and still ends with 0."""
    try:
        sys.stdout.writelines(f"{name}\n" for name in hostlist.expand(text))
    except ValueError as error:
        complain(str(error))
    return 0


def _jobs(state: State, numbers: list[str], *, is_one_line: bool) -> int:
    found = [state.job(number) for number in numbers] if numbers else list(state.jobs())
    for job in found:
        if job is None:
            complain("slurm_load_jobs error: Invalid job id specified")
            return 1
        sys.stdout.write(_describe(job, " " if is_one_line else "\n   ") + "\n")
    return 0


def _release(state: State, numbers: list[str]) -> int:
    """Let held jobs start."""
    for number in numbers:
        job = state.job(number)
        if job is None or job.is_over:
            why = "Invalid job id specified" if job is None else "Job has already finished"
            complain(f"{why} for job {number}\nslurm_suspend error: {why}")
            return 1
        state.tell(f"release {number}")
    return 0


def _describe(job: Job, separator: str) -> str:
    record = job.record
    hosts = hostlist.expand(record.get("nodes", ""))
    code = (job.folder / "exit").read_text() if (job.folder / "exit").exists() else "0:0"
    pairs = {
        "JobId": job.number,
        "JobName": record["job_name"],
        "UserId": f"{record['user']}({os.getuid()})",
        "Account": record.get("account", "(null)"),
        "JobState": job.state,
        "Reason": "None" if hosts else "JobHeldUser" if job.is_held else "Resources",
        "Requeue": record.get("requeue", "1"),
        "Restarts": "0",
        "BatchFlag": "1",
        "ExitCode": code.strip(),
        "Partition": record.get("partition", "main"),
        "NodeList": record.get("nodes", ""),
        "BatchHost": hosts[0] if hosts else "",
        "NumNodes": record["num_nodes"],
        "Command": record["command"],
        "WorkDir": record["workdir"],
        "StdErr": record.get("error") or record["output"],
        "StdIn": "/dev/null",
        "StdOut": record["output"],
    }
    return separator.join(f"{key}={value}" for key, value in pairs.items())
