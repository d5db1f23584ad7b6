"""What sbatch makes of a script and its options: a job in the state folder, ready for its keeper.

In: the script, whose ``#SBATCH`` lines count unless the command line says otherwise. Out: a ``Job``. Raises UsageError
with sbatch's own text.
"""

import os
import pwd
import shlex
from pathlib import Path

from srtplan.rehearsal.slurm.options import SBATCH, UsageError, parse
from srtplan.rehearsal.slurm.request import environment
from srtplan.rehearsal.slurm.state import Job, State, claim, read_record, record_text, write, write_record

DAY_S, HOUR_S, MINUTE_S = 86400, 3600, 60


def create(
    state: State, path: Path, given: dict[str, str], *, own: dict[str, str], here: Path, arguments: list[str]
) -> Job:  # fmt: skip
    """Make the job of a script; ``own`` are the submitter's variables, ``here`` is where it was submitted."""
    script = _read(path)
    options = _combined(_components(script), given)
    if int(options.get("nodes", "1").partition("-")[0]) > len(state.nodes()):
        raise UsageError("sbatch: error: Batch job submission failed: Node count specification invalid", 1)
    variables = _environment(options, own)
    files = {
        "record": record_text(_record(options, str(path), own, here)), "slurm_script": script, "state": "PENDING",
        "environ": "\0".join(f"{key}={value}" for key, value in variables.items()), "arguments": "\0".join(arguments),
    }  # fmt: skip
    jobs = state.folder / "jobs"
    number = claim(jobs, files, int(state.setting("first_job", "1")))
    _name_files(jobs / str(number), number)
    others = [
        claim(jobs, {"leader": str(number)}, number + 1) for _ in options.get("components", "").split()[1:]
    ]
    write(jobs / str(number) / "components", " ".join(map(str, others)))
    return Job(jobs / str(number), number)


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise UsageError(f"sbatch: error: Unable to open file {path.name}", 1) from error
    if not text.startswith("#!"):
        why = "This does not look like a batch script.  The first line must start with #!"
        raise UsageError(f"sbatch: error: {why}", 1)
    return text


def directives(script: str) -> list[str]:
    """Return the words of the ``#SBATCH`` lines before the first command."""
    words: list[str] = []
    for line in script.splitlines()[1:]:
        if line.startswith("#SBATCH"):
            words += shlex.split(line.removeprefix("#SBATCH"), comments=True)
        elif line.strip() and not line.startswith("#"):
            break
    return words


def _components(script: str) -> list[dict[str, str]]:
    """Return the options of every component: ``#SBATCH hetjob`` stands between two."""
    words: list[list[str]] = [[]]
    for word in directives(script):
        if word == "hetjob":
            words.append([])
        else:
            words[-1].append(word)
    return [parse(SBATCH, part)[0] for part in words]


def _combined(components: list[dict[str, str]], given: dict[str, str]) -> dict[str, str]:
    """Return one job's options: the first component's, and as many nodes as all have."""
    first = components[0] | given
    if len(components) > 1:
        sizes = [part.get("nodes", "1") for part in components]
        first |= {"nodes": str(sum(map(int, sizes))), "components": " ".join(sizes)}
    return first


def _environment(options: dict[str, str], own: dict[str, str]) -> dict[str, str]:
    """Return what the batch script has: what --export lets through, and if that is not all, the user's login environment.

    Slurm 22.05 brings that even where variables are named, and tells the job's own steps to be as strict.
    """
    let_through = environment(options, own)
    export = options.get("export", "ALL")
    if "ALL" in export.split(","):
        return let_through
    try:
        user = pwd.getpwuid(os.getuid())
    except KeyError:
        return let_through | {"SLURM_EXPORT_ENV": export}
    login = {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name, "SHELL": user.pw_shell}
    return login | let_through | {"SLURM_EXPORT_ENV": export}


def _name_files(job: Path, number: int) -> None:
    """Put the job's number and name into the patterns of its files, as the job's record shows them."""
    record = read_record(job / "record")
    known = {"%j": str(number), "%A": str(number), "%x": record["job_name"], "%u": record["user"]}
    for which in ("output", "error"):
        for key, value in known.items():
            record[which] = record[which].replace(key, value)
    write_record(job / "record", record)


def _record(options: dict[str, str], path: str, own: dict[str, str], here: Path) -> dict[str, str]:
    """Return what the job's record says, from the options."""
    workdir = here / options.get("chdir", "")
    gpus = options.get("gpus-per-node") or options.get("gres", "")
    return {
        "job_name": options.get("job-name") or path.rpartition("/")[2], "user": own.get("USER", str(os.getuid())),
        "no_kill": "1" if "no-kill" in options else "", "ntasks": options.get("ntasks", ""),
        "num_nodes": options.get("nodes", "1").partition("-")[0], "command": path, "workdir": str(workdir),
        "submit_dir": str(here), "output": str(workdir / options.get("output", "slurm-%j.out")),
        "error": str(workdir / options["error"]) if "error" in options else "",
        "open_mode": options.get("open-mode", "truncate"), "gpus": gpus.rpartition(":")[2].rpartition("=")[2] or "0",
        "partition": options.get("partition", "main"), "account": options.get("account", "(null)"),
        "requeue": "0" if "no-requeue" in options else "1", "time_limit": str(seconds(options.get("time", "0"))),
        "signal": options.get("signal", ""), "components": options.get("components", ""),
    }  # fmt: skip


def seconds(text: str) -> int:
    """Return the seconds of a Slurm time limit: ``30`` (minutes), ``1:30``, ``4:00:00``, ``1-12``, ``1-12:30:00``."""
    if text in {"UNLIMITED", "INFINITE"}:
        return 0
    days, has_days, rest = text.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if has_days:
        hours, minutes, rest_s = (*parts, 0, 0)[:3]
    elif len(parts) == 1:
        hours, minutes, rest_s = 0, parts[0], 0
    else:
        hours, minutes, rest_s = (0, *parts)[-3:]
    return int(days or 0) * DAY_S + hours * HOUR_S + minutes * MINUTE_S + rest_s
