"""The ``rehearse`` command: run a bundle on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from srtplan.cli.output import say


def run(bundle: Path, *, faults: Sequence[str], output: Path | None, timeout: float | None) -> int:
    """Return the exit code of the rehearsed job; 1 if the output is not writable, 2 for an invalid argument."""
    from srtplan.rehearsal import FaultError, RehearsalError, rehearse  # noqa: PLC0415

    if not (bundle / "plan.json").is_file():
        say(f"srtplan: '{bundle}' is not a bundle: plan.json is missing")
        return 2
    work = output or Path("outputs")
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        say(f"srtplan: cannot write to {work}: {e.strerror}")
        return 1
    try:
        return rehearse(bundle, faults=faults, work=work, timeout=timeout)
    except (FaultError, RehearsalError) as e:
        say(f"srtplan: {e}")
        return 2
