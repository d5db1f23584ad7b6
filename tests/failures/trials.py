"""One trial: a job on the stand-in cluster, a fault, and what came of it.

    with Trial(bundle, folder, faults=["decode_0:crash@3s"]) as trial:
        outcome = trial.wait()
    assert (outcome.code, outcome.group) == (74, "worker")

A fault is text for the rehearsal's programs, or something that the test does (`signal`, `kill`) once the job has
reached a stage. Each trial has a cluster of its own, so that whatever is left is this job's; a second job may be its guest.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from attrs import frozen
from busy import patient
from stand_in_slurm.cluster import StandInCluster

from srtplan.rehearsal import absent, network, processes
from srtplan.rehearsal.slurm.state import Job

POLL_S = 0.05
KILL_WAIT_S = 10


@frozen(kw_only=True)
class Outcome:
    """How a job ended. ``decided_s`` is fault to stop, ``ended_s`` fault to end; ``left`` should be empty.

    ``decided_s`` is None where no step ended that a fault of the rehearsal means.
    """

    code: int
    group: str
    cause: str
    decided_s: float | None
    ended_s: float
    left: tuple[str, ...]
    log: str


class Trial:
    """A job that runs on two stand-in nodes."""

    def __init__(
        self, bundle: Path, folder: Path, *, faults: Iterable[str] = (), env: dict[str, str] | None = None,
        options: Iterable[str] = (), kill_wait: int = KILL_WAIT_S, prepare: Callable[[StandInCluster], None] | None = None,
        cluster: StandInCluster | None = None,
    ) -> None:  # fmt: skip
        self.folder, self.bundle = folder, bundle
        (folder / "tmp").mkdir(parents=True)
        self.faults = tuple(faults)
        settings = {
            "kill_wait": str(kill_wait),
            "first_job": str(100_000 + random.randrange(800_000)),
            "share_nodes": "yes",
        }
        self.is_guest = cluster is not None
        plan = json.loads((bundle / "plan.json").read_text())
        self.cluster = cluster or StandInCluster(folder / "cluster", 2, settings=settings, plan=plan)
        if not self.is_guest:
            absent.prepare(plan, self.cluster.state.folder / "absent")
        self.env = {
            "SRTPLAN_OUTPUT": str(folder / "out"),
            "SRTPLAN_PREFLIGHT_SKIP": "dir file path gpus",
            "SRT_REHEARSAL_FAULTS": " ".join(self.faults),
            "TMPDIR": str(folder / "tmp"),
        } | (env or {})
        self.options = tuple(options)
        self.prepare = prepare
        self.at = 0.0

    def __enter__(self) -> Trial:  # noqa: PYI034 -- Self is not in Python 3.10
        if not self.is_guest:
            self.cluster.__enter__()
        if self.prepare:
            self.prepare(self.cluster)
        argv = ["sbatch", "--parsable", "--export=ALL", f"--output={self.folder}/job.log", *self.options]
        done = self.cluster.run([*argv, str(self.bundle / "job.sh")], cwd=self.folder, env=self.env)
        assert done.returncode == 0, done.stderr
        job = self.cluster.state.job(done.stdout.strip())
        assert job is not None
        self.job: Job = job
        self.at = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.is_guest:
            self.cluster.close()
        for path in Path("/tmp").glob(f"srtplan-{self.job.number}-*"):  # noqa: S108 -- where steps keep it
            shutil.rmtree(path, ignore_errors=True)

    # -------------------------------------------------------------- looking

    @property
    def run_dir(self) -> Path:
        """The directory of the last attempt."""
        return self.folder / "out" / str(self.job.number) / "latest"

    @property
    def log(self) -> str:
        """The output of job.sh so far."""
        path = self.folder / "job.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events so far."""
        path = self.run_dir / "events.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def until(self, is_so: Callable[[], bool], what: str, timeout: float = 40) -> None:
        """Wait for something."""
        end = time.monotonic() + patient(timeout)
        while not is_so():
            assert time.monotonic() < end, f"not within {timeout} s: {what}\n{self.log}"
            assert not self.job.is_over, f"the job ended before: {what}\n{self.log}"
            time.sleep(POLL_S)

    def reach(self, stage: str) -> None:
        """Wait until the job is in a stage; ``waiting`` is the wait for ports, ``stop`` the stopping."""
        if stage == "waiting":
            self.until(lambda: "infra: waiting for" in self.log, stage)
        else:
            self.until(
                lambda: any(e["event"] == "stage" and e["stage"] == stage for e in self.events),
                f"stage {stage}",
            )

    def until_running(self, *names: str) -> None:
        """Wait until steps have written their ids."""
        ids = self.run_dir / "run" / "steps"
        self.until(lambda: all((ids / f"{name}.id").exists() for name in names), f"{names} run")

    def started(self) -> list[str]:
        """Names of the steps that were started, in order."""
        return [e["step"] for e in self.events if e.get("state") == "started"]

    # -------------------------------------------------------------- doing

    def fault(self) -> None:
        """Note the time: now it is broken."""
        self.at = time.monotonic()

    def signal(self, name: str) -> None:
        """Signal job.sh alone."""
        self.fault()
        done = self.cluster.run(["scancel", "--batch", f"--signal={name}", str(self.job.number)])
        assert done.returncode == 0, done.stderr

    def scancel(self) -> None:
        """Cancel the job as a user does."""
        self.fault()
        self.cluster.run(["scancel", str(self.job.number)])

    def term_twice(self) -> None:
        """TERM to job.sh, and TERM again once the first is acted on."""
        self.signal("TERM")
        self.until(lambda: "stop: TERM to" in self.log, "stopping")
        self.signal("TERM")

    def stop(self) -> None:
        """Run the bundle's stop script."""
        self.fault()
        done = self.cluster.run([str(self.bundle / "stop"), str(self.job.number)])
        assert done.returncode == 0, done.stderr

    def kill_job(self) -> None:
        """SIGKILL job.sh itself."""
        self.fault()
        pid = self.job.batch_pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    def lose_node(self) -> None:
        """Let node1 fail."""
        self.fault()
        self.job.lose(["node1"])

    def kill_srun(self, step: str) -> None:
        """SIGKILL the srun of a step; its tasks go on."""
        wanted = f"--job-name={step}"
        self.fault()
        pids = [
            pid for pid in self.cluster.leftovers() if wanted in _argv(pid) and "srun" in " ".join(_argv(pid))
        ]
        batch = self.job.batch_pid()
        (srun,) = [pid for pid in pids if processes.table().get(pid) == batch]
        os.kill(srun, signal.SIGKILL)

    def kill_step(self, step: str) -> None:
        """SIGKILL all tasks of a step."""
        self.fault()
        known = (self.run_dir / "run" / "steps" / f"{step}.id").read_text().strip()
        self.cluster.run(["scancel", "--signal=KILL", known])

    # -------------------------------------------------------------- the end

    def wait(self, timeout: float = 60, *, grace: float = 3.0) -> Outcome:
        """Wait for the end of the job and look what it left; ``grace`` is how long nothing of it may change."""
        end = time.monotonic() + patient(timeout)
        while not self.job.is_over:
            assert time.monotonic() < end, f"{self.job.state} after {timeout} s:\n{self.log}"
            time.sleep(POLL_S)
        ended = time.monotonic() - self.at
        text, _, number = (self.job.folder / "exit").read_text().strip().partition(":")
        status = self.run_dir / "status.json"
        said = json.loads(status.read_text()) if status.exists() else _last_words(self.log)
        return Outcome(
            code=128 + int(number) if number not in {"", "0"} else int(text),
            group=said.get("class", ""),
            cause=said.get("cause", ""),
            decided_s=self._between("stop"),
            ended_s=min(ended, self._between("end") or ended),
            left=tuple(self._left(grace)),
            log=self.log,
        )

    def _between(self, stage: str) -> float | None:
        """Seconds from the first end of a step that a fault means to a stage; None if one of them is not in the events."""
        deaths = ("crash", "exit0", "oom", "badconfig")
        faults = [fault.partition(":") for fault in self.faults]
        names = [step for step, _, kind in faults if kind.partition("@")[0] in deaths]
        broke = [e["t"] for e in self.events if e.get("state") == "ended" and e["step"] in names]
        there = [e["t"] for e in self.events if e["event"] == "stage" and e["stage"] == stage]
        return float(there[0] - broke[0]) if broke and there else None

    def _left(self, grace: float) -> list[str]:
        """Processes, ports, steps and temporary files of this job."""
        end, quiet = time.monotonic() + patient(grace), time.monotonic() + grace
        found = self._look()
        while found and time.monotonic() < min(end, quiet):
            time.sleep(POLL_S)
            before, found = found, self._look()
            if found != before:
                quiet = time.monotonic() + grace
        return found

    def _abandoned(self) -> list[str]:
        """Steps that still ran when job.sh was over; after SIGKILL of job.sh that is so, and for Slurm to mend."""
        path = self.job.folder / "left"
        is_killed = (self.job.folder / "exit").exists() and (
            self.job.folder / "exit"
        ).read_text().strip() == "0:9"
        return path.read_text().split() if path.exists() and not is_killed else []

    def _look(self) -> list[str]:
        found = [f"process {' '.join(_argv(pid))}" for pid in self.cluster.leftovers()]
        found += [f"port {port} on {host}" for host, port in network.listeners(self.cluster.block.number)]
        found += [f"step {step.number}" for step in self.job.live_steps()]
        found += [f"step {name}, which Slurm had to end" for name in self._abandoned()]
        found += [f"file {path.name}" for path in (self.folder / "tmp").iterdir()]
        scratch = Path("/tmp").glob(f"srtplan-{self.job.number}-*")  # noqa: S108 -- where steps keep it
        return found + [f"file {path}" for path in scratch]


def _last_words(log: str) -> dict[str, str]:
    """Class and cause of a job that could not write its status."""
    group = re.search(r" end class=(\w+) code=\d+$", log, re.MULTILINE)
    cause = re.search(r"^\S+ ERROR \w+: (.*)$", log, re.MULTILINE)
    return {"class": group[1], "cause": cause[1]} if group and cause else {}


def _argv(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def readable(cause: str) -> str:
    """A cause without what differs from run to run: addresses, paths, pids."""
    cause = re.sub(r"\b127\.\d+\.\d+\.\d+\b|\b10\.\d+\.\d+\.\d+\b", "ADDRESS", cause)
    cause = re.sub(r"/(?:tmp|var/tmp|work|root|home)/[^\s:;,)]*/(?=[^/\s:;,)]*)", ".../", cause)
    cause = re.sub(r"/\d{5,}\b", "/JOBID", cause)
    return re.sub(r"pid \d+", "pid N", cause)
