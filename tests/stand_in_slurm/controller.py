"""The controller of a cluster with a queue: starts jobs on free nodes, holds and releases them, ends with its caller.

In: a state folder; lines on the FIFO ``control`` (``submit 7``, ``hold 7``, ``release 7``); end of file on standard input
means that the caller is gone. Out: jobs, each below a keeper. Nothing that it started outlives it.
"""

import os
import select
import signal
import sys

from srtplan.rehearsal import processes
from srtplan.rehearsal.slurm import container, hostlist
from srtplan.rehearsal.slurm.keeper import Keeper
from srtplan.rehearsal.slurm.state import Job, State, read, write, write_record

TICK_S = 0.2


def tell(state: State, message: str) -> bool:
    """Send a line to the controller; False if none listens."""
    if not processes.is_alive(read(state.folder / "controller")):
        return False
    (state.folder / "control").write_text(f"{message}\n", encoding="utf-8")
    return True


def main(state: str, argv: list[str]) -> int:
    """Run the cluster until standard input ends."""
    assert not argv
    return _Controller(State(state)).run()


class _Controller:
    """The loop: lines in, keepers out."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.pending: list[Job] = []
        self.running: dict[int, Job] = {}
        self.used: dict[int, set[str]] = {}
        self.is_shared = state.setting("share_nodes", "no") == "yes"

    def run(self) -> int:
        """Serve until standard input ends, then end everything."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        processes.become_subreaper()
        control = os.open(self.state.folder / "control", os.O_RDWR | os.O_CLOEXEC)
        container.probe(self.state)
        write(self.state.folder / "controller", processes.identity(os.getpid()))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        is_open = True
        while is_open:
            ready, _, _ = select.select([control, 0], [], [], TICK_S)
            if control in ready:
                self._obey(os.read(control, 65536).decode())
            if 0 in ready:
                is_open = bool(os.read(0, 4096))
            self._collect()
            self._start_pending()
        processes.kill_below(os.getpid())
        return 0

    def _obey(self, lines: str) -> None:
        for line in lines.splitlines():
            verb, _, number = line.partition(" ")
            job = self.state.job(number)
            assert job is not None
            if verb == "hold":
                write(job.folder / "held", "")
            elif verb == "submit":
                self.pending.append(job)
            elif (job.folder / "held").exists():
                (job.folder / "held").unlink()
                self.pending.append(job)

    def _collect(self) -> None:
        self.pending = [job for job in self.pending if not job.is_over]  # cancelled
        for pid, _ in processes.reap():
            job = self.running.pop(pid, None)
            if job is None:
                continue
            self.used.pop(job.number, None)
            if not job.is_over:  # the keeper was killed
                self._sweep()
                write(job.folder / "exit", "0:9")
                write(job.folder / "state", "NODE_FAIL")

    def _sweep(self) -> None:
        """Kill what a killed keeper left: everything below us that is below no other keeper."""
        kept = set(self.running)
        ours = processes.descendants(os.getpid()) - processes.descendants(*kept) - kept
        processes.send(ours, signal.SIGKILL)

    def _start_pending(self) -> None:
        """Start waiting jobs, first come first served, while nodes are free."""
        while self.pending:
            job = self.pending[0]
            used = set().union(*self.used.values())
            free = [node.name for node in self.state.nodes() if node.name not in used]
            wanted = int(job.record["num_nodes"])
            if len(free) < wanted:
                return
            self.pending.pop(0)
            self.used[job.number] = set() if self.is_shared else set(free[:wanted])
            write_record(job.folder / "record", job.record | {"nodes": hostlist.compress(free[:wanted])})
            (job.folder / "steps").mkdir()
            self.running[self._spawn(job)] = job

    def _spawn(self, job: Job) -> int:
        controller = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.setsid()
            Keeper(self.state, job).run(lambda: os.getppid() == controller)
            os._exit(0)
        return pid
