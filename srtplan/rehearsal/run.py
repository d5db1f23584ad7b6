"""``rehearse``: run a bundle's job.sh on a stand-in cluster, show its log, say how it ended.

In: a bundle, faults. Out: the text of the run on ``stdout`` and job.sh's exit code; afterwards no process is left and
no port taken, also when this process is killed (the controller ends when its standard input does). Example::

    rehearse(Path("bundle"), faults=["decode_0:crash@5s"], stdout=sys.stdout)  # 74
"""

import json
import os
import secrets
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

from srtplan.rehearsal import absent, describe, faults, network
from srtplan.rehearsal.cluster import StandInCluster
from srtplan.rehearsal.slurm import batch
from srtplan.rehearsal.slurm.keeper import WARNING_S
from srtplan.rehearsal.slurm.options import UsageError
from srtplan.rehearsal.slurm.state import Job, read
from srtplan.rehearsal.stand_ins import StandInError

POLL_S = 0.05
KILL_WAIT_S = 30
LEAST_NUMBER = 100_000_000
"""Above every job id of Slurm (``MaxJobId`` of slurm.conf is at most 67,108,863): a bundle names folders in /tmp by it."""
CODE_KILLED = 137
CODE_LEFT_BEHIND = 70
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class RehearsalError(Exception):
    """The rehearsal cannot begin; the text says why and what to do."""


def rehearse(
    bundle: Path, *, faults: Sequence[str] = (), keep: bool = False, work: Path | None = None, stdout: TextIO | None = None,
    timeout: float | None = None, settings: dict[str, str] | None = None,
) -> int:  # fmt: skip
    """Run ``bundle`` and return job.sh's exit code (70 if something was left running after a success).

    ``faults`` as in ``faults.py``. ``work`` is where the run's folders go (``work/<job id>/``), by default a
    temporary folder, which is removed after a success unless ``keep``; with ``keep`` the state of the stand-ins stays
    too. ``timeout`` is a time limit: after so many seconds job.sh gets the warning that its ``#SBATCH --signal``
    asks for, and at the end of its requested time, TERM. ``settings`` are those of the stand-in cluster
    (``kill_wait``, ``first_job``). Raises RehearsalError, or FaultError for a fault.
    """
    run = _Rehearsal(bundle.absolute(), faults, stdout or sys.stdout)
    return run.run(work.absolute() if work else None, timeout=timeout, keep=keep, settings=settings or {})


class _Rehearsal:
    """One rehearsal, from reading the plan to looking for what is left."""

    def __init__(self, bundle: Path, texts: Sequence[str], out: TextIO) -> None:
        self.bundle, self.out = bundle, out
        self.plan = _read_plan(bundle)
        self.faults = _check_faults(texts, self.plan)
        self.signals = 0

    def say(self, text: str = "") -> None:
        """Print a line."""
        self.out.write(f"{text}\n")
        self.out.flush()

    def run(self, work: Path | None, *, timeout: float | None, keep: bool, settings: dict[str, str]) -> int:
        """Run the job and return the exit code."""
        folder = Path(tempfile.mkdtemp(prefix="srtplan-rehearsal-"))
        output = work or folder / "outputs"
        output.mkdir(parents=True, exist_ok=True)
        number = int(settings.get("first_job") or _free_number(output))
        code = CODE_KILLED
        try:
            defaults = {"kill_wait": str(KILL_WAIT_S), "first_job": str(number)}
            cluster = self._cluster(folder, defaults | settings)
            absent.prepare(self.plan, cluster.state.folder / "absent")
            with cluster:
                job = self._job(cluster, output, timeout)
                code = self._ending(job, output / str(job.number))
            problems = self._left(cluster)
        finally:
            _remove_scratch(number)
            is_kept = keep or (work is None and code != 0)
            if not is_kept:
                shutil.rmtree(folder, ignore_errors=True)
        if is_kept or work is not None:
            self._places(output / str(number))
        else:
            self.say("Logs and results were temporary and are gone; --output DIR, or --keep, keeps them.")
        if keep:
            self.say(f"Kept      {folder}")
        for problem in problems:
            self.say(f"LEFT BEHIND  {problem}")
        return code or (CODE_LEFT_BEHIND if problems else 0)

    def _cluster(self, folder: Path, settings: dict[str, str]) -> StandInCluster:
        try:
            return StandInCluster(folder, _node_count(self.plan), settings=settings, plan=self.plan)
        except StandInError as error:
            raise RehearsalError(str(error)) from error

    def _job(self, cluster: StandInCluster, output: Path, timeout: float | None) -> Job:
        """Describe and submit the job, and follow it to its end."""
        addresses = [node.address for node in cluster.state.nodes()]
        for line in describe.header(self.plan, addresses):
            self.say(line)
        self.say()
        log = cluster.folder / "job.out"
        environment = {
            "SRTPLAN_OUTPUT": str(output),
            "SRTPLAN_REPORTS": "off",  # a dashboard shows jobs, not rehearsals
            "SRTPLAN_PREFLIGHT_SKIP": "dir file path any gpus",  # models, images and GPUs are the cluster's
            faults.VARIABLE: " ".join(map(str, self.faults)),
        }
        options = {"export": "ALL", "output": str(log)} | self._limit(timeout)
        try:
            job = cluster.start(self.bundle / "job.sh", options, here=cluster.folder, env=environment)
        except UsageError as error:
            raise RehearsalError(f"sbatch would refuse the job:\n{error}") from error
        with self._forwarding(job):
            self._follow(job, log)
        return job

    def _limit(self, timeout: float | None) -> dict[str, str]:
        """Return the time limit that makes the warning before it, if there is one, come after ``timeout`` seconds."""
        if timeout is None:
            return {}
        words = batch.directives((self.bundle / "job.sh").read_text(encoding="utf-8"))
        warning = next((word for word in words if word.startswith("--signal=")), "")
        before = int(warning.rpartition("@")[2]) if "@" in warning else WARNING_S if warning else 0
        return {"time": f"0:{max(1, round(timeout)) + before}"}

    @contextmanager
    def _forwarding(self, job: Job) -> Iterator[None]:
        """While the job runs, turn Ctrl-C and TERM into scancel; a second one ends everything at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def caught(_number: int, _frame: FrameType | None) -> None:
            self.signals += 1
            if self.signals == 1:
                job.cancel()

        before = {number: signal.signal(number, caught) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _follow(self, job: Job, log: Path) -> None:
        """Copy the job's log to our output until the job is over, or a second signal says not to wait for that."""
        position, is_over = 0, False
        while not is_over and self.signals < len(("cancel", "kill")):
            is_over = job.is_over
            position = self._copy(log, position)
            if not is_over:
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

    def _ending(self, job: Job, folder: Path) -> int:
        """Say how the job ended; return its exit code."""
        text, _, number = read(job.folder / "exit").partition(":")
        code = 128 + int(number) if number not in {"", "0"} else int(text or CODE_KILLED)
        status = _read_json(folder / "latest" / "status.json")
        self.say()
        self.say(
            f"Ended     {status.get('class') or job.state.lower()} (exit code {code}, Slurm says {job.state})"
        )
        if status.get("cause"):
            self.say(f"Cause     {status['cause']}")
        left = read(job.folder / "left").splitlines()
        if left:
            self.say(f"job.sh left steps running, which Slurm then ended: {', '.join(left)}")
        return code

    def _places(self, folder: Path) -> None:
        """Say where logs and results are."""
        latest = folder / "latest"
        if not latest.is_dir():
            self.say(f"Logs      none: job.sh made no folder below {folder}")
            return
        results = latest / "results"
        files = sum(path.is_file() for path in results.rglob("*")) if results.is_dir() else 0
        self.say(f"Logs      {latest.resolve() / 'logs'}")
        self.say(f"Results   {results.resolve()} ({files} files)" if files else "Results   none")

    def _left(self, cluster: StandInCluster) -> list[str]:
        """Return what outlived the rehearsal; nothing should."""
        problems = [f"process {pid}" for pid in sorted(cluster.escaped | cluster.leftovers())]
        return problems + [
            f"port {port} on {address}" for address, port in network.listeners(cluster.block.number)
        ]


def _free_number(output: Path) -> int:
    """Return a job number that nothing below ``output`` or in /tmp has in its name, and that no job of Slurm gets."""
    while True:
        number = LEAST_NUMBER + secrets.randbelow(9 * LEAST_NUMBER)
        if not (output / str(number)).exists() and not _scratch(number):
            return number


def _scratch(number: int) -> list[Path]:
    """Return what is in /tmp under the name of a job, where a bundle puts it."""
    return list(Path("/tmp").glob(f"srtplan-{number}-*"))  # noqa: S108 (where the bundle puts it)


def _remove_scratch(number: int) -> None:
    """Remove what steps keep on a node's own disk, which a node would lose with the job; another user's files stay."""
    for path in _scratch(number):
        if path.lstat().st_uid != os.geteuid():
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _read_plan(bundle: Path) -> dict[str, Any]:
    if not sys.platform.startswith("linux"):
        raise RehearsalError(
            "a rehearsal needs Linux: it uses /proc and the addresses 127.0.0.0/8 (a Linux VM or container will do)"
        )
    for name in ("job.sh", "plan.json"):
        if not (bundle / name).is_file():
            raise RehearsalError(
                f"{bundle} is not a bundle: {name} is missing; create one with srtplan compile"
            )
    return _read_json(bundle / "plan.json")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _check_faults(texts: Sequence[str], plan: dict[str, Any]) -> list[faults.Fault]:
    """Read the faults and see that each means a step. Raises FaultError."""
    steps = [step["name"] for step in plan.get("steps", ())]
    nodes = [f"node{index}" for index in range(_node_count(plan))]
    found = []
    for text in texts:
        fault = faults.parse(text)
        what, names = ("node", nodes) if fault.kind == "lost" else ("step", steps)
        if names and not any(faults.is_meant(fault, name) for name in names):
            raise faults.FaultError(f"fault {text!r}: no {what} {fault.step!r}; there are {', '.join(names)}")
        found.append(fault)
    return found


def _node_count(plan: dict[str, Any]) -> int:
    nodes = plan.get("nodes", {})
    return int(nodes.get("total", 1)) if isinstance(nodes, dict) else 1
