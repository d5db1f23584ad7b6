"""The state of the stand-in cluster: one folder, shared by all stand-ins of a rehearsal.

::

    STATE/hosts                 one node a line: name, address, address of its own loopback
    STATE/settings              kill_wait=30, first_job=7, programs=real, containers=paths
    STATE/plan.json             the Plan whose programs are simulated
    STATE/stand-ins/NAME        what stands in for a program, see simulation/start.py
    STATE/absent/configs/...    what stands for mounts that this machine does not have, by their target
    STATE/containers            namespaces, or paths where this machine allows none
    STATE/jobs/7/record         job_name=..., nodes=node[0-3], command=..., ...
    STATE/jobs/7/environ        environment of the job, NUL-separated
    STATE/jobs/7/{state,exit,batch,keeper,lost}
    STATE/jobs/7/steps/0/       record, stepd, done: one folder per step
    STATE/jobs/7/components     numbers of a heterogeneous job's other components
    STATE/jobs/8/leader         such a component: the number of the first one, which has all the rest

Every file is small and replaced by rename, so that a reader never sees half of one. The classes are plain ones: importing
dataclasses would double the time that a stand-in takes to start.
"""

import os
import signal
from pathlib import Path

from srtplan.rehearsal import processes


def write(path: Path, text: str) -> None:
    """Replace a file by rename."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(text, encoding="utf-8", errors="surrogateescape")
    new.replace(path)


def read(path: Path) -> str:
    """Return a file's text without its last newline, empty if it does not exist."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").removesuffix("\n")
    except (FileNotFoundError, NotADirectoryError):
        return ""


def write_record(path: Path, values: dict[str, str]) -> None:
    """Write ``key=value`` lines; newlines and backslashes in values are escaped."""
    write(path, record_text(values))


def record_text(values: dict[str, str]) -> str:
    """Return a record as text, for ``claim``."""
    return "".join(f"{key}={_escape(value)}\n" for key, value in values.items())


def read_record(path: Path) -> dict[str, str]:
    """Read what ``write_record`` wrote."""
    pairs = (line.partition("=") for line in read(path).splitlines() if "=" in line)
    return {key: _unescape(value) for key, _, value in pairs}


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


def _unescape(value: str) -> str:
    halves = value.split("\\\\")
    return "\\".join(half.replace("\\n", "\n").replace("\\r", "\r") for half in halves)


class Node:
    """One simulated node: its name, its address, and the address that stands for its own loopback."""

    def __init__(self, name: str, address: str, loopback: str) -> None:
        self.name, self.address, self.loopback = name, address, loopback


class Step:
    """One step of a job: its folder and number."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder, self.number = folder, number

    @property
    def record(self) -> dict[str, str]:
        """What srun noted: name, nodes, ntasks, output, options."""
        return read_record(self.folder / "record")

    @property
    def id(self) -> str:
        """What Slurm calls the step: ``7.0``. In a heterogeneous job that is the number of its component."""
        return f"{self.record['job']}.{self.number}"

    @property
    def stepd(self) -> int:
        """Process id of the step's supervisor; the tasks are below it. -1 before it has started."""
        known = read(self.folder / "stepd").split()
        return int(known[0]) if known else -1

    @property
    def is_live(self) -> bool:
        """Tell whether the step still runs."""
        return not (self.folder / "done").exists() and processes.is_alive(read(self.folder / "stepd"))


class Job:
    """One job: its folder and number."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder, self.number = folder, number

    @property
    def record(self) -> dict[str, str]:
        """What sbatch noted."""
        return read_record(self.folder / "record")

    @property
    def state(self) -> str:
        """Slurm's name of the state: PENDING, RUNNING, COMPLETING, COMPLETED, FAILED, CANCELLED, TIMEOUT."""
        return read(self.folder / "state")

    @property
    def is_over(self) -> bool:
        """Tell whether the job has no running process."""
        return self.state not in {"PENDING", "RUNNING", "COMPLETING"}

    def batch_pid(self) -> int | None:
        """Process id of the batch shell while it runs."""
        known = read(self.folder / "batch")
        return int(known.split()[0]) if processes.is_alive(known) else None

    def cancel(self) -> None:
        """Let the keeper end the job; a job that has none yet is over at once."""
        keeper = read(self.folder / "keeper")
        if processes.is_alive(keeper):
            processes.send([int(keeper.split()[0])], signal.SIGTERM)
        elif not self.is_over:
            write(self.folder / "exit", "0:0")
            write(self.folder / "state", "CANCELLED")

    def components(self) -> list[int]:
        """Return the number of every component of a heterogeneous job; of an ordinary one its own."""
        return [self.number, *map(int, read(self.folder / "components").split())]

    def steps(self) -> list[Step]:
        """Return all steps so far, by number."""
        folder = self.folder / "steps"
        numbers = _numbers(folder)
        return [Step(folder / str(number), number) for number in numbers]

    def lose(self, nodes: list[str]) -> None:
        """Let nodes fail: their tasks die without a word, the sruns of their steps hear of it, then the job ends."""
        write(self.folder / "lost", "\n".join(nodes))

    def live_steps(self) -> list[Step]:
        """Return the steps that still run."""
        return [step for step in self.steps() if step.is_live]


class State:
    """The state folder."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    def nodes(self) -> list[Node]:
        """Return the nodes of the cluster."""
        return [Node(*line.split()) for line in read(self.folder / "hosts").splitlines()]

    def setting(self, name: str, default: str) -> str:
        """Return one line of the settings."""
        return read_record(self.folder / "settings").get(name, default)

    @property
    def has_namespaces(self) -> bool:
        """Tell whether containers have their own view of the files here, as ``container.probe`` has found out."""
        return read(self.folder / "containers") == "namespaces"

    def job(self, number: str) -> Job | None:
        """Return a job by the text of its number, or that of one of its components."""
        folder = self.folder / "jobs" / number
        if not number.isdigit() or not folder.is_dir():
            return None
        leader = read(folder / "leader")
        return self.job(leader) if leader else Job(folder, int(number))

    def jobs(self) -> list[Job]:
        """Return all jobs, by number."""
        numbers = _numbers(self.folder / "jobs")
        known = [Job(self.folder / "jobs" / str(number), number) for number in numbers]
        return [job for job in known if not (job.folder / "leader").exists()]


def signal_steps(stepds: list[int], number: int) -> None:
    """Signal the steps of these supervisors as slurmstepd does with proctrack/cgroup: KILL everything, else the tasks.

    What a task has started gets nothing but KILL (SignalChildrenProcesses=no, the default of cgroup.conf), so a
    shell that does not exec its server, nor forward TERM to it, leaves it unaware.
    """
    pids = processes.descendants(*stepds) if number == signal.SIGKILL else processes.children(*stepds)
    processes.send(pids, number)


def claim(parent: Path, files: dict[str, str], first: int = 0) -> int:
    """Make the next numbered folder below ``parent``, with these files in it, and return its number.

    The folder appears complete (rename) and no two callers get the same number.
    """
    draft = parent / f".draft.{os.getpid()}"
    draft.mkdir(parents=True)
    for name, text in files.items():
        write(draft / name, text)
    number = max([first - 1, *_numbers(parent)]) + 1
    while not _renamed(draft, parent / str(number)):
        number += 1
    return number


def _renamed(draft: Path, target: Path) -> bool:
    """Rename a folder, unless the target is taken: one that is not empty cannot be replaced."""
    try:
        draft.rename(target)
    except OSError:
        return False
    return True


def _numbers(folder: Path) -> list[int]:
    return sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdigit())
