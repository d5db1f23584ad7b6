"""Stand-in for scancel: signals jobs and steps.

::

    scancel --signal=TERM 7.3     the tasks of the step get TERM (not what they started, see signal_steps)
    scancel 7.3                   the step's processes are killed at once
    scancel --batch --signal=USR1 7    job.sh only
    scancel --signal=TERM 7       all steps, not job.sh
    scancel 7                     TERM to everything, KILL after KillWait, done by the job's keeper

Exit code 0, also for a step that has ended or is of another component of a heterogeneous job (as measured); 1 for a job
that never was.
"""

import signal
from pathlib import Path

from srtplan.rehearsal import processes
from srtplan.rehearsal.slurm import options
from srtplan.rehearsal.slurm.state import Job, State, Step, signal_steps

KNOWN = options.Known(
    "scancel", "signal", flags="batch version", short={"s": "signal", "b": "batch", "V": "version"}, is_mixed=True
)  # fmt: skip


def main(state: str, argv: list[str]) -> int:
    """Signal what argv names and return an exit code."""
    return options.run(KNOWN, argv, lambda given, words: _scancel(State(state), given, words))


def _scancel(state: State, given: dict[str, str], words: list[str]) -> int:
    number = _signal_number(given["signal"]) if "signal" in given else None
    if not words:
        raise options.UsageError("scancel: error: No job identification provided", 1)
    jobs = [word for word in words if "." not in word]
    codes = [_signal_job(state.job(word), word, number, is_batch="batch" in given) for word in jobs]
    return max([*codes, _signal_ids(state, [w for w in words if "." in w], number or signal.SIGKILL)])


def _signal_number(text: str) -> int:
    """Return the number of ``TERM``, ``SIGTERM`` or ``15``. Raises UsageError for anything else."""
    name = f"SIG{text.upper().removeprefix('SIG')}"
    if not text.isdigit() and name not in signal.Signals.__members__:
        raise options.UsageError(f"scancel: error: Unknown job signal: {text}", 1)
    return int(text) if text.isdigit() else int(signal.Signals[name])


def _signal_job(job: Job | None, word: str, number: int | None, *, is_batch: bool) -> int:
    if job is None:
        return 0 if number is None else _complain_of(word)
    if is_batch:
        processes.send(filter(None, [job.batch_pid()]), number or signal.SIGTERM)
    elif number is not None:
        signal_all(job.live_steps(), number)
    else:
        job.cancel()
    return 0


def _signal_ids(state: State, words: list[str], number: int) -> int:
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
    signal_all(steps, number)
    return code


def _complain_of(word: str) -> int:
    options.complain(f"scancel: error: Kill job error on job step id {word}: Invalid job id specified")
    return 1


def signal_all(steps: list[Step], number: int) -> None:
    """Signal steps; for TERM and KILL their logs get slurmstepd's line first."""
    for step in steps if number in (signal.SIGTERM, signal.SIGKILL) else ():
        record = step.record
        output, node = Path(record.get("option.output", "")), record["nodes"].split(",")[0]
        if output.is_absolute() and "%" not in output.name and output.is_file():
            with output.open("a", encoding="utf-8") as file:
                file.write(f"slurmstepd-{node}: error: *** STEP {step.id} ON {node} CANCELLED ***\n")
    signal_steps([step.stepd for step in steps], number)
