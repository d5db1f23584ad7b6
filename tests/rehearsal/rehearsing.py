"""Rehearsals for tests: run one here, or start one in a process of its own."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from busy import patient
from handmade import Step, write_bundle

from srtplan.rehearsal import rehearse

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {"kill_wait": "3"}
PROGRAM = (
    "import sys; from pathlib import Path; from srtplan.rehearsal import rehearse;"
    "sys.exit(rehearse(Path(sys.argv[1]), work=Path(sys.argv[2]), settings={'kill_wait': '3'}))"
)


def run(
    bundle: Path, work: Path, *, faults: Sequence[str] = (), timeout: float | None = None
) -> tuple[int, str]:
    """Rehearse and return the exit code and the text."""
    out = io.StringIO()
    code = rehearse(bundle, faults=faults, work=work, stdout=out, settings=SETTINGS, timeout=timeout)
    return code, out.getvalue()


class Started:
    """A rehearsal in a process of its own, whose job is ready."""

    def __init__(self, bundle: Path, work: Path) -> None:
        self.path = bundle.parent / f"{bundle.name}.log"
        with self.path.open("wb") as out:
            argv = [sys.executable, "-c", PROGRAM, str(bundle), str(work)]
            self.process = subprocess.Popen(argv, cwd=ROOT, stdout=out, stderr=out)
        end = time.monotonic() + patient(60)
        while "\nready\n" not in self.text:
            assert time.monotonic() < end, f"the job never got ready:\n{self.text}"
            assert self.process.poll() is None, self.text
            time.sleep(0.05)

    @property
    def text(self) -> str:
        """What it has printed so far."""
        return self.path.read_text()

    def ends(self, *numbers: signal.Signals) -> int:
        """Send signals and return the exit code."""
        for number in numbers:
            self.process.send_signal(number)
        return self.process.wait(patient(40))


def logs(work: Path, step: str) -> str:
    """Return the log of a step of the only run below ``work``."""
    (path,) = work.glob(f"*/attempt_0/logs/{step}.out")
    return path.read_text()


def serving(folder: Path, argv: str = "") -> Path:
    """A bundle whose job serves until it is stopped."""
    server = (
        "python3 -m sglang.launch_server --model-path /m --served-model-name m --host 0.0.0.0 --port 30000"
    )
    health = 'curl -sf "http://${IP[0]}:30000/health"'
    return write_bundle(folder, [Step("agg_0", "worker", (0,), argv or server)], nodes=1, health=health)
