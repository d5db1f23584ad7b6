"""One job into the queue, whole or not at all.

In: an ``Order``, something that writes its bundle, the output base. Out: ``Submitted``. In between::

    BASE/.submit-x1y2/bundle/       written first: what sbatch is given, with --hold, so that nothing can start
    BASE/.submit-x1y2/4711.json     the id is known: metadata, the recipe, an empty log for `tail -f`
    BASE/4711/                      the same folder, by one rename; then scontrol release

Whatever fails, or a signal, cancels the job and removes the folder. Killed without notice, srtplan leaves a held job,
which never starts by itself.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from attrs import define, frozen

from srtplan.submit import slurm, status
from srtplan.submit.metadata import Order, document, recipe_text
from srtplan.submit.signals import Signals
from srtplan.submit.slurm import JobId, SlurmError

STAGING = ".submit-"
HELD = "--hold"


class SubmitError(Exception):
    """The job is not in the queue. ``is_final``: no other will be either, without Slurm or with a disk that is full."""

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


@frozen(kw_only=True)
class Submitted:
    """A job in the queue and its folder; ``notes`` are what else there is to say, ``held`` that its recipe asks for it."""

    job: JobId
    name: str
    folder: Path
    tags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    held: bool = False

    @property
    def log(self) -> Path:
        """What job.sh says; empty until it starts."""
        return self.folder / slurm.LOG.format(self.job)

    @property
    def metadata(self) -> Path:
        """The metadata."""
        return self.folder / f"{self.job}.json"

    @property
    def config(self) -> Path:
        """The recipe as it was given."""
        return self.folder / "config.yaml"


@define
class _State:
    """How far a submission has come."""

    folder: Path
    job: JobId | None = None
    reported: bool = False
    released: bool = False


def submit(order: Order, write: Callable[[Path], object], base: Path, signals: Signals) -> Submitted:
    """Submit one job. Raises SubmitError, or KeyboardInterrupt after a signal; in both cases nothing is left."""
    state = _State(_staging(base))
    try:
        return _steps(order, write, base, signals, state)
    except (SlurmError, OSError, KeyboardInterrupt) as error:
        why = str(error) or "interrupted"
        left = _undo(order, signals, state, why)
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(left) from None
        raise SubmitError(". ".join((why, *left)), is_final=getattr(error, "is_absent", False)) from error


def _staging(base: Path) -> Path:
    """A new folder beside those of the jobs, with a name that nobody else takes."""
    number = 0
    while True:
        folder = base / f"{STAGING}{os.getpid()}-{number}"
        try:
            base.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
        except FileExistsError:
            if not folder.exists():
                raise SubmitError(f"{base} is not a directory", is_final=True) from None
            number += 1
        except OSError as error:
            raise SubmitError(f"cannot write in {base}: {error.strerror}", is_final=True) from error
        else:
            return folder


def _steps(
    order: Order, write: Callable[[Path], object], base: Path, signals: Signals, state: _State
) -> Submitted:
    write(state.folder / "bundle")
    signals.check()
    state.job = job = slurm.sbatch(signals, state.folder / "bundle" / "job.sh", base)
    signals.check()
    made = document(order, job, base / job.number, datetime.now(timezone.utc))
    _record(order, state.folder, job, made)
    state.folder = _in_place(state.folder, base / job.number)
    signals.check()
    state.reported = True
    notes = status.submitted(order.plan.reports, made)
    signals.check()
    held = HELD in order.plan.sbatch
    if not held:
        state.released = True
        slurm.release(signals, job)
    return Submitted(
        job=job, name=order.plan.name, folder=state.folder, tags=order.tags, notes=notes, held=held
    )


def _record(order: Order, folder: Path, job: JobId, made: dict[str, object]) -> None:
    """What stands beside the bundle."""
    log = folder / slurm.LOG.format(job)
    log.parent.mkdir()
    log.touch()
    (folder / "config.yaml").write_text(recipe_text(order), encoding="utf-8")
    (folder / f"{job}.json").write_text(
        json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def _in_place(staging: Path, folder: Path) -> Path:
    """Rename; a folder of that name is that of another job with the same number, and is left alone."""
    try:
        return staging.rename(folder)
    except OSError as error:
        if folder.exists():
            message = f"{folder} exists already: Slurm has given the number to another job before; choose another -o"
            raise OSError(message) from error
        raise


def _undo(order: Order, signals: Signals, state: _State, why: str) -> tuple[str, ...]:
    """Cancel and remove; what could not be undone, a sentence each."""
    left: list[str] = []
    if state.job is not None:
        try:
            slurm.cancel(signals, state.job)
        except SlurmError as error:
            left.append(
                f"job {state.job} is still in the queue, on hold; remove it by: scancel {state.job} ({error})"
            )
        if state.reported:
            status.withdrawn(order.plan.reports, state.job.number, f"cancelled by srtplan apply: {why}")
    if state.released and any(state.folder.glob("attempt_*")):
        return (*left, f"the job had started; its logs are in {state.folder}")
    shutil.rmtree(state.folder, ignore_errors=True)
    if state.folder.exists():
        left.append(f"{state.folder} could not be removed")
    return tuple(left)
