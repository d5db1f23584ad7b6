"""Stand-in for scancel: signals jobs and steps.

::

    scancel --signal=TERM 7.3     the tasks of the step get TERM (not what they started, see signal_steps)
    scancel 7.3                   the step's processes are killed at once
    scancel --batch --signal=USR1 7    job.sh only
    scancel --signal=TERM 7       all steps, not job.sh;  --full: job.sh and what it started
    scancel 7                     TERM to everything, KILL after KillWait, done by the controller

Exit code 0, also for a step that has ended or is of another component of a heterogeneous job (as measured); 1 for a job
that never was.
"""

import signal
import sys
from pathlib import Path

from srtplan.rehearsal import processes
from srtplan.rehearsal.slurm.options import Known, UsageError, complain, parse_anywhere
from srtplan.rehearsal.slurm.state import Job, State, Step, signal_steps
from srtplan.rehearsal.slurm.stepd import folder_of
from srtplan.rehearsal.slurm.version import VERSION

KNOWN = Known(
    "scancel",
    values=frozenset({"signal"}),
    flags=frozenset({"batch", "full", "quiet", "verbose", "version", "hurry"}),
    short={"s": "signal", "b": "batch", "f": "full", "Q": "quiet", "v": "verbose", "V": "version"},
)


def main(state: str, argv: list[str]) -> int:
    """Signal what argv names and return an exit code."""
    try:
        options, words = parse_anywhere(KNOWN, argv)
        number = _signal_number(options["signal"]) if "signal" in options else None
    except UsageError as error:
        complain(str(error))
        return error.code
    if "version" in options:
        sys.stdout.write(f"{VERSION}\n")
        return 0
    if not words:
        complain("scancel: error: No job identification provided")
        return 1
    ids = [word for word in words if "." in word and not word.endswith(".batch")]
    rest = [word for word in words if word not in ids]
    codes = [_cancel(State(folder_of(state)), word, options, number) for word in rest]
    return max([*codes, _signal_ids(State(folder_of(state)), ids, number)])


def _signal_number(text: str) -> int:
    """Return the number of ``TERM``, ``SIGTERM`` or ``15``. Raises UsageError for anything else."""
    if text.isdigit():
        return int(text)
    name = text.upper().removeprefix("SIG")
    try:
        return int(signal.Signals[f"SIG{name}"])
    except KeyError:
        raise UsageError(f"scancel: error: Unknown job signal: {text}", 1) from None


def _cancel(state: State, word: str, options: dict[str, str], number: int | None) -> int:
    job_number, has_step, _ = word.partition(".")
    job = state.job(job_number)
    if job is None:
        if has_step or number is not None:
            return _complain_of(word)
        return 0
    if has_step:
        _signal_batch(job, number or signal.SIGKILL)
    elif number is None and "batch" not in options:
        state.tell(f"cancel {job.number}")
    elif "batch" in options:
        _signal_batch(job, number or signal.SIGTERM)
    else:
        _signal_steps(job, number or signal.SIGTERM, is_full="full" in options)
    return 0


def _signal_ids(state: State, words: list[str], number: int | None) -> int:
    """Signal steps by their ids, all of them at once: a look at the processes of this machine takes its time."""
    steps: list[Step] = []
    code = 0
    for word in words:
        job_number, _, step_number = word.partition(".")
        job = state.job(job_number)
        if job is None:
            code = _complain_of(word)
        elif step_number.isdigit():
            step = Step(job.folder / "steps" / step_number, int(step_number))
            steps += [step] if step.is_live and step.id == word else []
    signal_all(steps, number or signal.SIGKILL)
    return code


def _complain_of(word: str) -> int:
    complain(f"scancel: error: Kill job error on job step id {word}: Invalid job id specified")
    return 1


def _signal_batch(job: Job, number: int) -> None:
    pid = job.batch_pid()
    if pid is not None:
        processes.send([pid], number)


def _signal_steps(job: Job, number: int, *, is_full: bool) -> None:
    if is_full and (pid := job.batch_pid()) is not None:
        supervisors = {step.stepd for step in job.steps()}
        processes.send(
            ({pid} | processes.descendants(pid)) - supervisors - processes.descendants(*supervisors), number
        )
        return
    signal_all(job.live_steps(), number)


def signal_all(steps: list[Step], number: int) -> None:
    """Signal steps; for TERM and KILL their logs get slurmstepd's line first."""
    if number in (signal.SIGTERM, signal.SIGKILL):
        for step in steps:
            _announce(step.id, step.record)
    signal_steps([step.stepd for step in steps], number)


def _announce(step: str, record: dict[str, str]) -> None:
    output = record.get("option.output", "")
    if not output.startswith("/") or "%" in output or not Path(output).is_file():
        return
    node = record["nodes"].split(",")[0]
    line = f"slurmstepd-{node}: error: *** STEP {step} ON {node} CANCELLED ***\n"
    with Path(output).open("ab") as file:
        file.write(line.encode())
