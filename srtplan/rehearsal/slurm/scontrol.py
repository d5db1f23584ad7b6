"""Stand-in for scontrol: ``show hostnames [LIST]`` and ``show job [-o] ID``.

Out: the host names one a line, or the job's record on one line (``Command=`` has the path as submitted).
"""

import os
import sys

from srtplan.rehearsal.slurm import hostlist, options
from srtplan.rehearsal.slurm.options import complain
from srtplan.rehearsal.slurm.state import Job, State, read

KNOWN = options.Known(
    "scontrol", "", flags="oneliner version", short={"o": "oneliner", "V": "version"}, is_mixed=True
)


def main(state: str, argv: list[str]) -> int:
    """Answer one command and return its exit code."""
    return options.run(KNOWN, argv, lambda given, words: _answer(State(state), words, given))


def _answer(state: State, words: list[str], given: dict[str, str]) -> int:
    match words:
        case ["show", "hostnames", *rest]:
            return _hostnames(rest[0] if rest else os.environ.get("SLURM_JOB_NODELIST", ""))
        case ["show", "job" | "jobid", number]:
            return _job(state.job(number), " " if "oneliner" in given else "\n   ")
        case ["show", entity, *_]:
            complain(f"invalid entity:{entity} for keyword:show ")
        case _:
            complain(
                f"scontrol: the rehearsal answers only show hostnames and show job, not: {' '.join(words)}"
            )
    return 1


def _hostnames(text: str) -> int:
    """Print a host list's names; 22.05 complains about a bad one and still ends with 0."""
    try:
        sys.stdout.writelines(f"{name}\n" for name in hostlist.expand(text))
    except ValueError as error:
        complain(str(error))
    return 0


def _job(job: Job | None, separator: str) -> int:
    if job is None:
        complain("slurm_load_jobs error: Invalid job id specified")
        return 1
    record = job.record
    hosts = hostlist.expand(record.get("nodes", ""))
    pairs = {
        "JobId": job.number, "JobName": record["job_name"], "UserId": f"{record['user']}({os.getuid()})",
        "Account": record["account"], "JobState": job.state,
        "Reason": "None" if hosts else "JobHeldUser" if (job.folder / "held").exists() else "Resources",
        "Requeue": record["requeue"], "Restarts": "0", "BatchFlag": "1", "ExitCode": read(job.folder / "exit") or "0:0",
        "Partition": record["partition"], "NodeList": record.get("nodes", ""), "BatchHost": (hosts or [""])[0],
        "NumNodes": record["num_nodes"], "Command": record["command"], "WorkDir": record["workdir"],
        "StdErr": record["error"] or record["output"], "StdIn": "/dev/null", "StdOut": record["output"],
    }  # fmt: skip
    sys.stdout.write(separator.join(f"{key}={value}" for key, value in pairs.items()) + "\n")
    return 0
