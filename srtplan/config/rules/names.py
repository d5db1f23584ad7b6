"""Names that a shell, Slurm or a file system must accept: SP201 to SP204."""

from __future__ import annotations

import re
from collections.abc import Iterator

from srtplan.config.layouts.draft import Draft
from srtplan.diagnostics import Finding, Path
from srtplan.ir.recipe import Pairs

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_OF_BASH = """
    _ DIRSTACK EUID FUNCNAME GROUPS HOSTTYPE IFS LINENO MACHTYPE MAPFILE OLDPWD OPTARG OPTERR OPTIND OSTYPE
    PIPESTATUS POSIXLY_CORRECT PPID PS0 PS1 PS2 PS3 PS4 PWD RANDOM REPLY SECONDS SHELLOPTS SHLVL SRANDOM UID
"""
_OF_EVERY_STEP = """
    HOME HOSTNAME LANG LOGNAME PATH SHELL TERM TMPDIR TZ USER
"""
_OF_THE_BUNDLE = """
    ARGV BUNDLE_DIR BUNDLE_HOME CALL_GRACE_S CALL_PID CAUSE CLASS CLOCK_START CODE COMPONENTS DROPPED_VARIABLES ENV
    ENV_FROM EVENT_FD EXPORT FAILING_SINCE FIRST_FAILED GATES GATE_INTERVAL_S GATE_TIMEOUT_S IP IS_RESTRICTED JOB_ID
    JOB_NAME LATE_ENV LAUNCH_ENV LOG_DIR LOG_FD MAX_REFUSALS MODEL_NAME NETWORK_INTERFACE NEXT_CAP NEXT_WATCH NODE NOW
    NOW_CS ORDER OUTPUT_BASE PARALLEL_STARTS POLL_COUNT PREFLIGHT_WAIT_S PROBES PROBE_ANSWER PROBE_EXPECTED PROBE_NODE
    PROBE_PATH PROBE_PID PROBE_PORT PROBE_STEP PROBE_TYPE PROFILING_WORKERS READY READ_KEEPS_TIME REFUSAL_COUNT
    REPORT_FD REPORT_PID REPORT_STAGE REPORT_START_TIME REPORT_TO RESTARTS RESTART_AT RESTART_COUNT RESTART_GRACE_S
    RESTART_POLICY RETRY_AT RUN_CODE RUN_DIR RUN_NUMBER RUN_REASON RUN_TIME_FILES RUN_TOTAL SCRATCH SECRETS
    SECRETS_FILE SHUTDOWN SHUTDOWN_AT SIGNALS STAGE STARTING STEP STEPS STOP_REQUESTED STOP_TIMEOUT_S TICK_FD
    TIMED_OUT TIME_LIMIT_S URL VERB WARNING_S WATCH_INTERVAL_S WATCH_TIMEOUT_S
"""
TAKEN = frozenset(f"{_OF_BASH} {_OF_EVERY_STEP} {_OF_THE_BUNDLE}".split())
"""Variables of bash, of every step, and of job.sh, its library and the launchers."""
TAKEN_PREFIXES = ("BASH", "COMP_", "EPOCH", "HIST", "LC_", "SLURM", "SRT", "SRUN", "STEP_")
MAX_NAME = 200


def job_name(draft: Draft) -> Iterator[Finding]:
    """SP201: the job name becomes a line of the sbatch script and the name of a folder."""
    name = draft.name
    if name is None:
        return
    if not name.strip() or name in (".", ".."):
        message = f"'{name}' is not a valid job name"
        hint = "use letters, digits, '-', '_' and '.'"
        yield Finding(rule="SP201", path=("name",), message=message, help=hint)
    elif found := CONTROL.search(name):
        message = f"the job name cannot contain {found.group()!r}"
        yield Finding(rule="SP201", path=("name",), message=message, help="remove the character")
    elif "/" in name:
        hint = f"write {name.replace('/', '-')}"
        yield Finding(rule="SP201", path=("name",), message="the job name cannot contain '/'", help=hint)
    elif len(name) > MAX_NAME:
        message = f"the job name has {len(name)} characters; the limit is {MAX_NAME}"
        yield Finding(rule="SP201", path=("name",), message=message, help="shorten the name")


def environment(draft: Draft) -> Iterator[Finding]:
    """SP202, SP203: the names of environment variables, in every section that sets any."""
    for pairs, path in _environments(draft):
        for name, _ in pairs:
            if not VARIABLE.fullmatch(name):
                yield Finding(
                    rule="SP202",
                    path=(*path, name),
                    on_key=True,
                    message=f"{name!r} is not a valid environment variable name",
                    help="use letters, digits and '_', not starting with a digit",
                )
    for index, name in enumerate(draft.env_from):
        if not VARIABLE.fullmatch(name):
            message = f"{name!r} is not a valid environment variable name"
            hint = "list only names; the values are read when the job is submitted"
            yield Finding(rule="SP202", path=("env_from", index), message=message, help=hint)
        elif is_taken(name):
            message = f"env_from cannot pass {name}: the shell, Slurm or srtplan uses this name"
            hint = "set it under `environment:`, or rename it (capital letters, digits and '_', or a *_proxy name)"
            yield Finding(rule="SP203", path=("env_from", index), message=message, help=hint)


def is_taken(name: str) -> bool:
    """Return whether the shell, Slurm or the bundle's scripts use a variable. Lower-case names belong to the scripts."""
    is_free = name == name.upper() or name.endswith("_proxy")
    return not is_free or name in TAKEN or name.startswith(TAKEN_PREFIXES)


def setup_script(draft: Draft) -> Iterator[Finding]:
    """SP204: the setup script is a file name below ``configs/``, without a path."""
    name = draft.setup_script
    if name is None:
        return
    if not name or "/" in name or name.startswith((".", "-")) or CONTROL.search(name):
        yield Finding(
            rule="SP204",
            path=("setup_script",),
            message=f"'{name}' is not a file name",
            help="write the name of a file in the profile's `configs/` folder, without a path",
        )


def _environments(draft: Draft) -> Iterator[tuple[Pairs, Path]]:
    if draft.environment:
        yield draft.environment, ("environment",)
    for role in draft.resources.roles if draft.resources else ():
        yield role.env, role.env_at
    if draft.frontend:
        yield draft.frontend.env, (*draft.frontend.at, "env")
    for part in (draft.engine, draft.frontend, draft.benchmark):
        if part is not None:
            yield from _plugin_environments(part.options, part.at)


def _plugin_environments(options: object, path: Path) -> Iterator[tuple[Pairs, Path]]:
    """Yield the fields of a plugin's options that are environments, by their name."""
    for name in ("env", "environment"):
        value = getattr(options, name, None)
        if isinstance(value, tuple):
            yield value, (*path, name)
