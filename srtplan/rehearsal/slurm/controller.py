"""The controller of the stand-in cluster: starts jobs on free nodes, cancels them, ends with its caller.

In: a state folder prepared by ``rundir.py``; lines on the FIFO ``control`` (``submit 7``, ``hold 7``, ``release 7``,
``cancel 7``) and on standard input (``kill``); end of file there means that the caller is gone. Out: jobs, each
below a keeper (``keeper.py``). It ends when standard input does, and nothing that it started outlives it.
"""

import os
import select
import signal
import sys

from srtplan.rehearsal import processes
from srtplan.rehearsal.slurm import container, hostlist
from srtplan.rehearsal.slurm.keeper import Keeper
from srtplan.rehearsal.slurm.state import Job, State, write, write_record
from srtplan.rehearsal.slurm.stepd import folder_of

TICK_S = 0.2


def main(state: str, argv: list[str]) -> int:
    """Run the cluster until standard input ends."""
    if argv:
        sys.stderr.write("controller: takes no arguments\n")
        return 1
    return _Controller(State(folder_of(state))).run()


class _Controller:
    """The loop: lines in, keepers out."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.pending: list[Job] = []
        self.held: set[int] = set()
        self.running: dict[int, Job] = {}
        self.used: dict[int, set[str]] = {}
        self.is_shared = state.setting("share_nodes", "no") == "yes"

    def run(self) -> int:
        """Serve until standard input ends, then end everything."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        processes.become_subreaper()
        control = os.open(self.state.folder / "control", os.O_RDWR | os.O_CLOEXEC)
        kind = "namespaces" if container.is_possible() else "paths"
        write(self.state.folder / "containers", self.state.setting("containers", kind))
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
            if job is not None and verb == "submit":
                self.pending.append(job)
            elif job is not None and verb == "hold":
                write(job.folder / "held", "")
                self.held.add(job.number)
            elif job is not None and verb == "release" and job.number in self.held:
                self.held.discard(job.number)
                (job.folder / "held").unlink()
                self.pending.append(job)
            elif job is not None and verb == "cancel":
                self._cancel(job)

    def _cancel(self, job: Job) -> None:
        """Cancel a job: one that waits is over at once, one that runs is its keeper's business."""
        waiting = [other for other in self.pending if other.number != job.number]
        if len(waiting) < len(self.pending) or job.number in self.held:
            self.pending = waiting
            self.held.discard(job.number)
            write(job.folder / "exit", "0:0")
            write(job.folder / "state", "CANCELLED")
        for pid, running in self.running.items():
            if running.number == job.number:
                processes.send([pid], signal.SIGTERM)

    def _collect(self) -> None:
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
        processes.send(
            processes.descendants(os.getpid()) - processes.descendants(*kept) - kept, signal.SIGKILL
        )

    def _start_pending(self) -> None:
        """Start waiting jobs, first come first served, while nodes are free."""
        while self.pending:
            job = self.pending[0]
            free = [
                node.name for node in self.state.nodes() if node.name not in set().union(*self.used.values())
            ]
            record = job.record
            wanted = int(record["num_nodes"])
            if len(free) < wanted:
                return
            self.pending.pop(0)
            self.used[job.number] = set() if self.is_shared else set(free[:wanted])
            write_record(job.folder / "record", record | {"nodes": hostlist.compress(free[:wanted])})
            (job.folder / "steps").mkdir()
            self.running[Keeper(self.state, job).spawn()] = job
