"""Stand-in for scancel: signals jobs and steps.

::

    scancel --signal=TERM 7.3     the tasks of the step get TERM (not what they started, see Step.signal)
    scancel 7.3                   the step's processes are killed at once
    scancel --batch --signal=USR1 7    job.sh only
    scancel --signal=TERM 7       all steps, not job.sh;  --full: job.sh and what it started
    scancel 7                     TERM to everything, KILL after KillWait, done by the controller

Exit code 0, also for a step that has ended (as measured); 1 for a job that never was.
"""

import signal
import sys
from pathlib import Path

from srtplan.rehearsal import processes
from srtplan.rehearsal.slurm.options import Known, UsageError, complain, parse_anywhere
from srtplan.rehearsal.slurm.state import Job, State, Step
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
    return max(_cancel(State(folder_of(state)), word, options, number) for word in words)


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
    job_number, has_step, step_number = word.partition(".")
    job = state.job(job_number)
    if job is None:
        if has_step or number is not None:
            complain(f"scancel: error: Kill job error on job step id {word}: Invalid job id specified")
            return 1
        return 0
    if has_step and step_number == "batch":
        _signal_batch(job, number or signal.SIGKILL)
    elif has_step:
        for step in job.live_steps():
            if str(step.number) == step_number:
                signal_step(job, step, number or signal.SIGKILL)
    elif number is None and "batch" not in options:
        state.tell(f"cancel {job.number}")
    elif "batch" in options:
        _signal_batch(job, number or signal.SIGTERM)
    else:
        _signal_steps(job, number or signal.SIGTERM, is_full="full" in options)
    return 0


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
    for step in job.live_steps():
        signal_step(job, step, number)


def signal_step(job: Job, step: Step, number: int) -> None:
    """Signal a step; for TERM and KILL its log gets slurmstepd's line first."""
    record = step.record
    if number in (signal.SIGTERM, signal.SIGKILL):
        _announce(f"{job.number}.{step.number}", record)
    step.signal(number)


def _announce(step: str, record: dict[str, str]) -> None:
    output = record.get("option.output", "")
    if not output.startswith("/") or "%" in output or not Path(output).is_file():
        return
    node = record["nodes"].split(",")[0]
    line = f"slurmstepd-{node}: error: *** STEP {step} ON {node} CANCELLED ***\n"
    with Path(output).open("ab") as file:
        file.write(line.encode())
