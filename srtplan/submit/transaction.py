"""Submit one job, completely or not at all.

In: an ``Order``, a function that writes its bundle, and the output base. Out: ``Submitted``. In between::

    BASE/.submit-4242-0/bundle/       written first and submitted with --hold, so that nothing can start
    BASE/.submit-4242-0/4711.json     once the id is known: metadata, the recipe, and an empty log for `tail -f`
    BASE/4711/                        the same directory after one rename; then scontrol release

An error or a signal cancels the job and removes the directory. If srtplan itself is killed, a held job remains, which never
starts by itself.
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
from srtplan.submit.metadata import Order, build_metadata, masked_recipe
from srtplan.submit.signals import Signals
from srtplan.submit.slurm import JobId, SlurmError

STAGING = ".submit-"
HELD = "--hold"


class SubmitError(Exception):
    """The job was not submitted. ``is_final``: further submissions would fail as well, for example without Slurm."""

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


@frozen(kw_only=True)
class Submitted:
    """A submitted job and its directory; ``notes`` are warnings, ``held`` is true if the recipe keeps the job on hold."""

    job: JobId
    name: str
    folder: Path
    tags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    held: bool = False

    @property
    def log(self) -> Path:
        """The log of job.sh, empty until the job starts."""
        return self.folder / slurm.LOG.format(self.job)

    @property
    def metadata(self) -> Path:
        """The file with the job's metadata."""
        return self.folder / f"{self.job}.json"

    @property
    def config(self) -> Path:
        """The copy of the recipe."""
        return self.folder / "config.yaml"


@define
class _State:
    """The progress of a submission, as far as an undo needs it."""

    folder: Path
    job: JobId | None = None
    reported: bool = False
    released: bool = False


def submit(order: Order, write: Callable[[Path], object], base: Path, signals: Signals) -> Submitted:
    """Submit one job. Raises SubmitError, or KeyboardInterrupt after a signal; both undo the submission."""
    state = _State(_staging(base))
    try:
        return _submit(order, write, base, signals, state)
    except (SlurmError, OSError, KeyboardInterrupt) as error:
        why = str(error) or "interrupted"
        left = _undo(order, signals, state, why)
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(left) from None
        raise SubmitError(". ".join((why, *left)), is_final=getattr(error, "is_absent", False)) from error


def _staging(base: Path) -> Path:
    """Create a new directory with a unique name next to the directories of the jobs."""
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
            raise SubmitError(f"cannot write to {base}: {error.strerror}", is_final=True) from error
        else:
            return folder


def _submit(
    order: Order, write: Callable[[Path], object], base: Path, signals: Signals, state: _State
) -> Submitted:
    write(state.folder / "bundle")
    signals.check()
    state.job = job = slurm.sbatch(signals, state.folder / "bundle" / "job.sh", base)
    signals.check()
    metadata = build_metadata(order, job, base / job.number, datetime.now(timezone.utc))
    _write_records(order, state.folder, job, metadata)
    state.folder = _move_into_place(state.folder, base / job.number)
    signals.check()
    state.reported = True
    notes = status.report_submission(order.plan.reports, metadata)
    signals.check()
    held = HELD in order.plan.sbatch
    if not held:
        state.released = True
        slurm.release(signals, job)
    return Submitted(
        job=job, name=order.plan.name, folder=state.folder, tags=order.tags, notes=notes, held=held
    )


def _write_records(order: Order, folder: Path, job: JobId, metadata: dict[str, object]) -> None:
    """Write the metadata, the recipe and an empty log next to the bundle."""
    log = folder / slurm.LOG.format(job)
    log.parent.mkdir()
    log.touch()
    (folder / "config.yaml").write_text(masked_recipe(order), encoding="utf-8")
    (folder / f"{job}.json").write_text(
        json.dumps(metadata, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def _move_into_place(staging: Path, folder: Path) -> Path:
    """Rename the directory to that of the job; an existing one belongs to an earlier job with the same id and is kept."""
    try:
        return staging.rename(folder)
    except OSError as error:
        if folder.exists():
            message = (
                f"{folder} already exists: an earlier job had the same id; choose another directory with -o"
            )
            raise OSError(message) from error
        raise


def _undo(order: Order, signals: Signals, state: _State, why: str) -> tuple[str, ...]:
    """Cancel the job and remove its directory. Returns one sentence for each part that could not be undone."""
    left: list[str] = []
    if state.job is not None:
        try:
            slurm.cancel(signals, state.job)
        except SlurmError as error:
            left.append(
                f"job {state.job} is still in the queue, on hold; remove it with: scancel {state.job} ({error})"
            )
        if state.reported:
            status.report_cancellation(
                order.plan.reports, state.job.number, f"cancelled by srtplan apply: {why}"
            )
    if state.released and any(state.folder.glob("attempt_*")):
        return (*left, f"the job had started; its logs are in {state.folder}")
    shutil.rmtree(state.folder, ignore_errors=True)
    if state.folder.exists():
        left.append(f"{state.folder} could not be removed")
    return tuple(left)
