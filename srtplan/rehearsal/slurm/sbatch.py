"""Stand-in for sbatch: hands a copy of the script to the controller.

In: ``sbatch [options] script [args]``; ``#SBATCH`` lines of the script count unless the command line says
otherwise. Out: ``Submitted batch job 7`` (``--parsable``: ``7``); with ``--wait`` the job's exit code.
"""

import os
import pwd
import shlex
import sys
import time
from pathlib import Path

from srtplan.rehearsal.slurm.options import SBATCH, UsageError, complain, parse
from srtplan.rehearsal.slurm.request import environment
from srtplan.rehearsal.slurm.state import State, claim, read, read_record, record_text, write, write_record
from srtplan.rehearsal.slurm.stepd import folder_of
from srtplan.rehearsal.slurm.version import VERSION

POLL_S = 0.05


def main(state: str, argv: list[str]) -> int:
    """Submit one script and return an exit code."""
    try:
        options, words = parse(SBATCH, argv)
        if "version" in options:
            sys.stdout.write(f"{VERSION}\n")
            return 0
        path, script = _script(options, words)
        options = _combined(parse_components(script), options)
        number = _submit(State(folder_of(state)), options, path, script, words[1:])
    except UsageError as error:
        complain(str(error))
        return error.code
    sys.stdout.write(f"{number}\n" if "parsable" in options else f"Submitted batch job {number}\n")
    sys.stdout.flush()
    return _wait(State(folder_of(state)), number) if "wait" in options else 0


def _script(options: dict[str, str], words: list[str]) -> tuple[str, str]:
    """Return the path and text of the script. Raises UsageError if there is none."""
    if "wrap" in options:
        return "", f"#!/bin/sh\n{options['wrap']}\n"
    if not words:
        raise UsageError("sbatch: error: the rehearsal reads no script from standard input", 1)
    path = Path(words[0]).absolute()
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise UsageError(f"sbatch: error: Unable to open file {words[0]}", 1) from error
    if not text.startswith("#!"):
        raise UsageError(
            "sbatch: error: This does not look like a batch script.  The first line must start with #!", 1
        )
    return str(path), text


def parse_components(script: str) -> list[dict[str, str]]:
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


def directives(script: str) -> list[str]:
    """Return the words of the ``#SBATCH`` lines before the first command."""
    words: list[str] = []
    for line in script.splitlines()[1:]:
        if line.startswith("#SBATCH"):
            words += shlex.split(line.removeprefix("#SBATCH"), comments=True)
        elif line.strip() and not line.startswith("#"):
            break
    return words


def _submit(state: State, options: dict[str, str], path: str, script: str, args: list[str]) -> int:
    total = int(options.get("nodes", "1").partition("-")[0])
    if total > len(state.nodes()):
        raise UsageError("sbatch: error: Batch job submission failed: Node count specification invalid", 1)
    own = _environment(options)
    files = {
        "record": record_text(_record(options, path)),
        "environ": "\0".join(f"{key}={value}" for key, value in own.items()),
        "arguments": "\0".join(args),
        "slurm_script": script,
        "state": "PENDING",
    }
    number = claim(state.folder / "jobs", files, int(state.setting("first_job", "1")))
    _name_files(state.folder / "jobs" / str(number), number)
    _claim_components(state, number, len(options.get("components", "").split()) - 1)
    if not state.tell(f"{'hold' if 'hold' in options else 'submit'} {number}"):
        raise UsageError(
            "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
            1,
        )
    return number


def _claim_components(state: State, leader: int, others: int) -> None:
    """Give the other components of a heterogeneous job their numbers."""
    numbers = [claim(state.folder / "jobs", {"leader": str(leader)}, leader + 1) for _ in range(others)]
    write(state.folder / "jobs" / str(leader) / "components", " ".join(map(str, numbers)))


def _environment(options: dict[str, str]) -> dict[str, str]:
    """Return what the batch script has: what --export lets through, and if that is not all, the user's login environment.

    Slurm 22.05 brings that even where variables are named, and tells the job's own steps to be as strict.
    """
    own = environment(options, dict(os.environ))
    said = options.get("export", "ALL")
    if "ALL" in said.split(","):
        return own
    try:
        user = pwd.getpwuid(os.getuid())
    except KeyError:
        return own | {"SLURM_EXPORT_ENV": said}
    login = {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name, "SHELL": user.pw_shell}
    return login | own | {"SLURM_EXPORT_ENV": said}


def _name_files(job: Path, number: int) -> None:
    """Put the job's number and name into the patterns of its files, as the job's record shows them."""
    record = read_record(job / "record")
    known = {"%j": str(number), "%A": str(number), "%x": record["job_name"], "%u": record["user"]}
    for which in ("output", "error"):
        for key, value in known.items():
            record[which] = record[which].replace(key, value)
    write_record(job / "record", record)


def _record(options: dict[str, str], path: str) -> dict[str, str]:
    """Return what the job's record says, from the options."""
    workdir = options.get("chdir", os.getcwd())  # noqa: PTH109
    gpus = options.get("gpus-per-node") or options.get("gres", "")
    return {
        "job_name": options.get("job-name") or (os.path.basename(path) or "wrap"),  # noqa: PTH119
        "user": os.environ.get("USER", str(os.getuid())),
        "no_kill": "1" if "no-kill" in options else "",
        "ntasks": options.get("ntasks", ""),
        "num_nodes": options.get("nodes", "1").partition("-")[0],
        "command": path or "(null)",
        "workdir": workdir,
        "submit_dir": os.getcwd(),  # noqa: PTH109
        "output": os.path.join(workdir, options.get("output", "slurm-%j.out")),  # noqa: PTH118
        "error": os.path.join(workdir, options["error"]) if "error" in options else "",  # noqa: PTH118
        "open_mode": options.get("open-mode", "truncate"),
        "gpus": gpus.rpartition(":")[2].rpartition("=")[2] or "0",
        "partition": options.get("partition", "main"),
        "account": options.get("account", "(null)"),
        "requeue": "0" if "no-requeue" in options else "1",
        "time_limit": str(seconds(options.get("time", "0"))),
        "signal": options.get("signal", ""),
        "components": options.get("components", ""),
    }


def seconds(text: str) -> int:
    """Return the seconds of a Slurm time limit: ``30`` (minutes), ``1:30``, ``4:00:00``, ``1-12``, ``1-12:30:00``."""
    if text in {"UNLIMITED", "INFINITE"}:
        return 0
    days, has_days, rest = text.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if has_days:
        hours, minutes, rest_s = (*parts, 0, 0)[:3]
        return int(days) * 86400 + hours * 3600 + minutes * 60 + rest_s
    if len(parts) == 1:
        return parts[0] * 60
    hours, minutes, rest_s = (0, *parts)[-3:]
    return hours * 3600 + minutes * 60 + rest_s


def _wait(state: State, number: int) -> int:
    job = state.job(str(number))
    while job is not None and not job.is_over:
        time.sleep(POLL_S)
    code, _, by_signal = read(state.folder / "jobs" / str(number) / "exit").partition(":")
    return 128 + int(by_signal) if by_signal not in {"", "0"} else int(code or 1)
