"""What the recipe hands to Slurm: directives, srun options, the queue, the time limit. SP205 to SP209.

Sources: sbatch(1), srun(1); option names are words of letters and hyphens, a time is ``minutes``, ``minutes:seconds``,
``hours:minutes:seconds``, ``days-hours[:minutes[:seconds]]``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from srtplan.config.layouts.draft import Draft
from srtplan.config.rules.names import CONTROL
from srtplan.diagnostics import Finding, Path
from srtplan.flags import seconds
from srtplan.ir.recipe import WARNING_S, Pairs

_OPTION = re.compile(r"[A-Za-z][A-Za-z0-9]+(-[A-Za-z0-9]+)*")
_TIME = re.compile(r"([0-9]+-)?[0-9]+(:[0-9]+){0,2}|UNLIMITED|INFINITE", re.IGNORECASE)
_NO_WORD = re.compile(r"[\s\x00-\x1f\x7f]")
_MINUTES_SECONDS = re.compile(r"([0-9]+):([0-9]+)")

SBATCH_DECIDED = {
    "nodes": "the plan counts the nodes; see resources",
    "array": "every job of an array would be the same; use override_* or sweep",
    "output": "the log goes to the run's folder; see output_dir in the profile",
    "error": "standard error goes to the same log",
    "signal": "it is how the job learns of its time limit",
    "wrap": "the script is the bundle's job.sh",
    "wait": "use sbatch's own option; srtplan apply returns when the job is queued",
    "test-only": "use sbatch's own option",
}
SRUN_DECIDED = {
    "nodes": "it follows from the step",
    "ntasks": "it follows from the step",
    "nodelist": "it follows from the plan",
    "job-name": "it is the step's name",
    "jobid": "steps run in their own job",
    "input": "steps read no standard input",
    "output": "every step has its log file",
    "error": "standard error goes to the same log",
    "open-mode": "logs are appended to",
    "export": "see sbatch_directives.export, environment and env_from",
    "overlap": "steps overlap always",
    "kill-on-bad-exit": "it is set always",
    "container-image": "see model.container",
    "container-mounts": "see container_mounts and extra_mount",
}


def sbatch(draft: Draft) -> Iterator[Finding]:
    """SP205, SP206: ``sbatch_directives``."""
    yield from _options(draft.sbatch_directives or (), ("sbatch_directives",), SBATCH_DECIDED)


def srun(draft: Draft) -> Iterator[Finding]:
    """SP205, SP206: ``srun_options``."""
    yield from _options(draft.srun_options or (), ("srun_options",), SRUN_DECIDED)
    for role in draft.resources.roles if draft.resources else ():
        yield from _options(role.srun_options, (*role.at, "srun_options"), SRUN_DECIDED)


def queue(draft: Draft) -> Iterator[Finding]:
    """SP207: account and partition are words of a line of the script, whether recipe or profile says them."""
    if draft.slurm is None:
        return
    for name, value in (("account", draft.slurm.account), ("partition", draft.slurm.partition)):
        if value is not None and (not value or _NO_WORD.search(value)):
            message = (
                f"{value!r} is not the name of an {name}"
                if name == "account"
                else f"{value!r} is no partition"
            )
            yield Finding(
                rule="SP207", path=("slurm", name), message=message, help="leave it out for Slurm's default"
            )


def time_limit(draft: Draft) -> Iterator[Finding]:
    """SP208, SP209: a time limit that sbatch understands, that is longer than its warning, and as the writer meant it."""
    if draft.slurm is not None:
        yield from _time(("slurm", "time_limit"), draft.slurm.time_limit)
    for name, value in draft.sbatch_directives or ():
        if name == "time":
            yield from _time(("sbatch_directives", name), value)


def _time(path: Path, value: str) -> Iterator[Finding]:
    if not _TIME.fullmatch(value):
        yield Finding(
            rule="SP208",
            path=path,
            message=f"'{value}' is not a time limit",
            help="hours:minutes:seconds (04:00:00), days-hours (1-12), or minutes (90)",
        )
    elif value[:1].isdigit() and seconds(value) <= WARNING_S:
        yield Finding(
            rule="SP208",
            path=path,
            message=f"a time limit of {seconds(value)} seconds: a job is told to end {WARNING_S} seconds before its limit",
            help="give it the time that the model takes to load, and more; UNLIMITED is no limit",
        )
    elif match := _MINUTES_SECONDS.fullmatch(value):
        minutes, rest = match.groups()
        yield Finding(
            rule="SP209",
            path=path,
            severity="warning",
            message=f"'{value}' is {minutes} minutes and {rest} seconds to Slurm",
            help=f"write {value}:00 if hours and minutes are meant",
        )


def _options(pairs: Pairs, section: Path, decided: dict[str, str]) -> Iterator[Finding]:
    for name, value in pairs:
        path = (*section, name)
        if not _OPTION.fullmatch(name):
            hint = _spelling(name)
            message = f"{name!r} is not the name of an option"
            yield Finding(rule="SP205", path=path, on_key=True, message=message, help=hint)
        elif name in decided:
            message = f"'{name}' cannot be set in {section[-1]}"
            yield Finding(rule="SP206", path=path, on_key=True, message=message, help=decided[name])
        if found := CONTROL.search(value):
            message = f"the value of '{name}' cannot contain {found.group()!r}"
            yield Finding(rule="SP205", path=path, message=message)


def _spelling(name: str) -> str:
    better = name.lstrip("-").replace("_", "-")
    if better != name and _OPTION.fullmatch(better):
        return f"did you mean '{better}'?"
    return "give the long name without --, such as mem or cpus-per-gpu"
