"""``rehearse``: run a bundle's job.sh on a stand-in cluster, show its log, say how it ended.

In: a bundle, faults. Out: the text of the run on ``stdout`` and job.sh's exit code; afterwards no process is left and
no port taken, also when this process is killed (the controller ends when its standard input does). Example::

    rehearse(Path("bundle"), faults=["decode_0:crash@5s"], stdout=sys.stdout)   # 74
"""

import json
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from srtplan.rehearsal import describe, faults, network
from srtplan.rehearsal.cluster import StandInCluster
from srtplan.rehearsal.slurm.state import Job, read

POLL_S = 0.05
GRACE_S = 60.0
KILL_WAIT_S = 30
CODE_UNSUPPORTED = 70
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class RehearsalError(Exception):
    """The rehearsal cannot begin; the text says why and what to do."""


def rehearse(
    bundle: Path, *, faults: Sequence[str] = (), keep: bool = False, work: Path | None = None, stdout: TextIO | None = None,
    timeout: float | None = None, settings: dict[str, str] | None = None,
) -> int:  # fmt: skip
    """Run ``bundle`` and return job.sh's exit code.

    ``faults`` as in ``faults.py``. ``work`` is where the run's folders go (``work/<job id>/``), by default a
    temporary folder, which is removed after a success unless ``keep``. After ``timeout`` seconds job.sh gets USR1,
    as it does before a time limit, and a minute later the job is cancelled. Raises RehearsalError.
    """
    out = stdout or sys.stdout
    return _Rehearsal(bundle.absolute(), faults, work, out, settings or {}).run(timeout=timeout, keep=keep)


class _Rehearsal:
    """One rehearsal, from reading the plan to looking for what is left."""

    def __init__(self, bundle: Path, texts: Sequence[str], work: Path | None, out: TextIO, settings: dict[str, str]) -> None:
        self.bundle, self.work, self.out, self.settings = bundle, work, out, settings
        self.plan = _read_plan(bundle)
        self.faults = _check_faults(texts, self.plan)
        self.signals = 0

    def say(self, text: str = "") -> None:
        """Print a line."""
        self.out.write(f"{text}\n")
        self.out.flush()

    def run(self, *, timeout: float | None, keep: bool) -> int:
        """Run the job and return its exit code."""
        folder = Path(tempfile.mkdtemp(prefix="srtplan-rehearsal-"))
        output = (self.work or folder / "outputs").absolute()
        output.mkdir(parents=True, exist_ok=True)
        code = CODE_UNSUPPORTED
        try:
            cluster = StandInCluster(folder, _node_count(self.plan), settings=self._settings(output))
            with cluster:
                for line in describe.header(self.plan, [node.address for node in cluster.state.nodes()]):
                    self.say(line)
                self.say()
                code = self._job(cluster, output, timeout)
            problems = self._left(cluster)
        finally:
            is_removed = not keep and (self.work is not None or code == 0)
            if is_removed:
                shutil.rmtree(folder, ignore_errors=True)
        if is_removed and self.work is None:
            self.say("The run's folder was temporary and is gone; --keep or --output DIR keeps it.")
        for problem in problems:
            self.say(f"LEFT BEHIND  {problem}")
        return code or (CODE_UNSUPPORTED if problems else 0)

    def _settings(self, output: Path) -> dict[str, str]:
        numbers = [int(path.name) for path in output.iterdir() if path.name.isdigit()]
        return {"kill_wait": str(KILL_WAIT_S), "first_job": str(max(numbers, default=0) + 1)} | self.settings

    def _job(self, cluster: StandInCluster, output: Path, timeout: float | None) -> int:
        """Submit the job, follow it to its end, describe the end."""
        log = cluster.folder / "job.out"
        environment = {"SRTPLAN_OUTPUT": str(output), "SRT_REHEARSAL": "1", faults.VARIABLE: " ".join(map(str, self.faults))}
        argv = ["sbatch", "--parsable", "--export=ALL", f"--output={log}", str(self.bundle / "job.sh")]
        submitted = cluster.run(argv, cwd=cluster.folder, env=environment)
        job = cluster.state.job(submitted.stdout.strip())
        if submitted.returncode or job is None:
            raise RehearsalError(f"sbatch refused the job:\n{submitted.stderr.strip()}")
        with self._forwarding(cluster, job):
            self._follow(cluster, job, log, timeout)
        return self._summary(job, output)

    @contextmanager
    def _forwarding(self, cluster: StandInCluster, job: Job) -> Iterator[None]:
        """While the job runs, turn Ctrl-C and TERM into scancel; a second one into a kill."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def caught(_number: int, _frame: FrameType | None) -> None:
            self.signals += 1
            cluster.state.tell(f"cancel {job.number}")

        before = {number: signal.signal(number, caught) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _follow(self, cluster: StandInCluster, job: Job, log: Path, timeout: float | None) -> None:
        """Copy the job's log to our output until the job is over."""
        warn_at = None if timeout is None else time.monotonic() + timeout
        position, is_over = 0, False
        while not is_over:
            is_over = job.is_over
            position = self._copy(log, position)
            if self.signals > 1:
                return
            if warn_at is not None and time.monotonic() >= warn_at:
                verb = ["--batch", "--signal=USR1"] if self.signals == 0 else []
                self.signals += 1
                self.say(f"rehearsal: {timeout:g} s are over, {'USR1 to job.sh' if verb else 'cancelling the job'}")
                cluster.run(["scancel", *verb, str(job.number)])
                warn_at = time.monotonic() + GRACE_S if verb else None
                self.signals = 0 if verb == [] else self.signals
            time.sleep(POLL_S)

    def _copy(self, log: Path, position: int) -> int:
        try:
            with log.open("rb") as file:
                file.seek(position)
                data = file.read()
        except FileNotFoundError:
            return position
        if data:
            self.out.write(data.decode(errors="replace"))
            self.out.flush()
        return position + len(data)

    def _summary(self, job: Job, output: Path) -> int:
        """Say how the job ended and where everything is; return its exit code."""
        text, _, number = read(job.folder / "exit").partition(":")
        code = 128 + int(number) if number not in {"", "0"} else int(text or "137")
        latest = output / str(job.number) / "latest"
        status = _read_json(latest / "status.json")
        ending = status.get("exit_class") or status.get("class") or job.state.lower()
        self.say()
        self.say(f"Ended     {ending} (exit code {code}, {job.state})")
        if latest.is_dir():
            self.say(f"Logs      {latest / 'logs'}")
            results = latest / "results"
            files = sum(path.is_file() for path in results.rglob("*")) if results.is_dir() else 0
            self.say(f"Results   {results}  ({files} files)" if files else "Results   none")
        else:
            self.say(f"Logs      none: job.sh made no folder below {output / str(job.number)}")
        left = read(job.folder / "left")
        if left:
            self.say(f"job.sh left steps running: {', '.join(left.splitlines())}")
        return code

    def _left(self, cluster: StandInCluster) -> list[str]:
        """Return what outlived the rehearsal; nothing should."""
        problems = [f"process {pid}" for pid in sorted(cluster.leftovers())]
        return problems + [f"port {port} on {address}" for address, port in network.listeners(cluster.block.number)]


def _read_plan(bundle: Path) -> dict[str, Any]:
    if not sys.platform.startswith("linux"):
        raise RehearsalError("a rehearsal needs Linux: it uses /proc and the addresses 127.0.0.0/8 (a Linux VM or container will do)")
    for name in ("job.sh", "plan.json"):
        if not (bundle / name).is_file():
            raise RehearsalError(f"{bundle} is no bundle: it has no {name} (srtplan compile makes one)")
    return _read_json(bundle / "plan.json")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _check_faults(texts: Sequence[str], plan: dict[str, Any]) -> list[faults.Fault]:
    """Read the faults and see that each means a step. Raises FaultError."""
    names = [step["name"] for step in plan.get("steps", ())]
    found = []
    for text in texts:
        fault = faults.parse(text)
        if names and not any(faults.is_meant(fault, name) for name in names):
            raise faults.FaultError(f"fault {text!r}: no step {fault.step!r}; there are {', '.join(names)}")
        found.append(fault)
    return found


def _node_count(plan: dict[str, Any]) -> int:
    nodes = plan.get("nodes", {})
    return int(nodes.get("total", 1)) if isinstance(nodes, dict) else 1
