"""Settings that are passed to Slurm: directives, srun options, the queue, the time limit. SP205 to SP209.

Sources: sbatch(1), srun(1). Option names are words of letters and hyphens. A time is ``minutes``, ``minutes:seconds``,
``hours:minutes:seconds`` or ``days-hours[:minutes[:seconds]]``.
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
    "nodes": "remove it; set the nodes of the workers under `resources:` (`roles:` in schema 2)",
    "array": "remove it; use `override_NAME:` or `sweep:` to compile several jobs",
    "output": "remove it; set `output_dir` in the cluster profile to choose where runs are written",
    "error": "remove it; standard error goes to the job log",
    "signal": "remove it; srtplan sets it to stop before the time limit",
    "wrap": "remove it; the script is job.sh of the bundle",
    "wait": "remove it; to wait for the job, run `sbatch --wait` on job.sh",
    "test-only": "remove it; to test the script, run `sbatch --test-only` on job.sh",
}
SRUN_DECIDED = {
    "nodes": "remove it; the plan sets it for each step",
    "ntasks": "remove it; the plan sets it for each step",
    "nodelist": "remove it; the plan sets it for each step",
    "job-name": "remove it; it is the name of the step",
    "jobid": "remove it; steps run in their own job",
    "input": "remove it; steps do not read standard input",
    "output": "remove it; each step has its own log file",
    "error": "remove it; standard error goes to the log of the step",
    "open-mode": "remove it; logs are always appended to",
    "export": "use `sbatch_directives.export`, `environment:` or `env_from:`",
    "overlap": "remove it; it is always set",
    "kill-on-bad-exit": "remove it; it is always set",
    "container-image": "set `model.container`",
    "container-mounts": "use `container_mounts:` or `extra_mount:`",
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
    """SP207: account and partition, from the recipe or the profile, become words of the sbatch script."""
    if draft.slurm is None:
        return
    for name, value in (("account", draft.slurm.account), ("partition", draft.slurm.partition)):
        if value is not None and (not value or _NO_WORD.search(value)):
            message = f"{value!r} is not a valid {name} name"
            hint = f"write a single word, or remove `{name}` to use Slurm's default"
            yield Finding(rule="SP207", path=("slurm", name), message=message, help=hint)


def time_limit(draft: Draft) -> Iterator[Finding]:
    """SP208, SP209: a time limit that sbatch accepts, that is longer than its warning, and that is not ambiguous."""
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
            help="write hours:minutes:seconds (04:00:00), days-hours (1-12) or minutes (90)",
        )
    elif value[:1].isdigit() and seconds(value) <= WARNING_S:
        yield Finding(
            rule="SP208",
            path=path,
            message=f"time limit '{value}' is too short: the job stops {WARNING_S} seconds before its time limit",
            help="allow enough time to load the model, or write UNLIMITED",
        )
    elif match := _MINUTES_SECONDS.fullmatch(value):
        minutes, rest = match.groups()
        yield Finding(
            rule="SP209",
            path=path,
            severity="warning",
            message=f"Slurm reads '{value}' as {minutes} minutes and {rest} seconds",
            help=f"write {value}:00 for {minutes} hours and {rest} minutes",
        )


def _options(pairs: Pairs, section: Path, decided: dict[str, str]) -> Iterator[Finding]:
    for name, value in pairs:
        path = (*section, name)
        if not _OPTION.fullmatch(name):
            hint = _spelling(name)
            message = f"{name!r} is not a valid option name"
            yield Finding(rule="SP205", path=path, on_key=True, message=message, help=hint)
        elif name in decided:
            message = f"'{name}' cannot be set in {section[-1]}"
            yield Finding(rule="SP206", path=path, on_key=True, message=message, help=decided[name])
        if found := CONTROL.search(value):
            message = f"the value of '{name}' cannot contain {found.group()!r}"
            yield Finding(rule="SP205", path=path, message=message, help="remove the character")


def _spelling(name: str) -> str:
    better = name.lstrip("-").replace("_", "-")
    if better != name and _OPTION.fullmatch(better):
        return f"did you mean '{better}'?"
    return "write the long name without --, such as mem or cpus-per-gpu"
