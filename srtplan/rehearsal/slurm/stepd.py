"""The supervisor of one step: parent of all its tasks, in a process of its own.

In: a ``Request``. Out: the step's folder in the state, its tasks, lines to srun (``started``, ``error: node0:
task 0: Exited with exit code 3``), and an exit code: the highest of the tasks' codes. It is a subreaper, so that a
daemon that a task leaves behind stays below it and ends with the step, as with proctrack/cgroup.
"""

import os
import signal
import time

from srtplan.rehearsal import faults, processes
from srtplan.rehearsal.slurm import tasks
from srtplan.rehearsal.slurm.options import UsageError
from srtplan.rehearsal.slurm.request import Request
from srtplan.rehearsal.slurm.state import Step, claim, read, record_text, signal_steps, write

TICK_S = 0.2
FORWARDED = (
    signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
)  # fmt: skip
"""Signals that srun takes care of; the supervisor gets none of them."""


def spawn(request: Request, reader: int, writer: int) -> int:
    """Fork the supervisor; in the parent return its process id. Raises UsageError if an output cannot be opened."""
    number = claim(request.job.folder / "steps", {"record": record_text(_record(request))})
    step = Step(request.job.folder / "steps" / str(number), number)
    try:
        streams = tasks.open_streams(request, step)
    except OSError as error:
        write(step.folder / "done", "1")
        raise UsageError(f"srun: error: Could not open stdout file: {error.strerror}", 1) from error
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        os._exit(_Supervisor(request, step, streams, writer).run())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    return pid


def _record(request: Request) -> dict[str, str]:
    """Return what the step's record says."""
    options = {f"option.{key}": value for key, value in request.options.items()}
    nodes = ",".join(node.name for node in request.nodes)
    return {"name": request.name, "job": str(request.number), "nodes": nodes} | options


class _Supervisor:
    """The forked process: starts the tasks, collects them, applies faults and --kill-on-bad-exit."""

    def __init__(self, request: Request, step: Step, streams: tasks.Streams, writer: int) -> None:
        self.request, self.step, self.streams, self.writer = request, step, streams, writer
        self.running: dict[int, tasks.Task] = {}
        self.worst = 0
        self.kill_at: float | None = None
        self.lost: list[str] = []
        self.keeper = read(request.job.folder / "keeper")
        self.faults = faults.Pending(request.environment, request.name, step.folder)

    def run(self) -> int:
        """Run the step to its end and return its exit code."""
        os.setsid()
        for number in FORWARDED:
            signal.signal(number, signal.SIG_IGN)
        processes.become_subreaper()
        write(self.step.folder / "stepd", processes.identity(os.getpid()))
        for task in tasks.layout(self.request, self.step):
            self.running[tasks.start(self.request, task, self.streams)] = task
        self._tell("started")
        while self.running:
            signal.sigtimedwait({signal.SIGCHLD}, TICK_S)
            self._collect()
            self._tick()
        processes.kill_below(os.getpid())
        write(self.step.folder / "done", str(self.worst))
        return self.worst

    def _collect(self) -> None:
        for pid, status in processes.reap():
            task = self.running.pop(pid, None)
            if task is not None and task.node.name not in self.lost:  # nobody is left there to tell
                self._ended(task, status)

    def _ended(self, task: tasks.Task, status: int) -> None:
        forced = self.faults.code()
        status = status if forced is None else forced << 8
        code = processes.exit_code(status)
        self.worst = max(self.worst, code)
        if not code:
            return
        how = f"Exited with exit code {code}"
        if os.WIFSIGNALED(status):
            how = signal.strsignal(os.WTERMSIG(status)) or how
        self._tell(f"error: {task.node.name}: task {task.rank}: {how}")
        ends_all = self.request.options.get("kill-on-bad-exit") not in {None, "0"}
        if ends_all and self.running and self.kill_at is None:
            self._tell(f"launch/slurm: _step_signal: Terminating StepId={self.step.id}")
            signal_steps([os.getpid()], signal.SIGTERM)
            self.kill_at = time.monotonic() + float(self.request.state.setting("kill_wait", "30"))

    def _tick(self) -> None:
        """Kill what outstays --kill-on-bad-exit, a step whose job has vanished, and what a fault demands."""
        self._notice_lost_nodes()
        overdue = self.kill_at is not None and time.monotonic() >= self.kill_at
        if overdue or not processes.is_alive(self.keeper) or self.faults.is_due():
            processes.kill_below(os.getpid())
            self._collect()

    def _notice_lost_nodes(self) -> None:
        """Let the tasks of a node that has failed vanish; srun says so, and its code does not."""
        lost = read(self.request.job.folder / "lost").split()
        for name in [n.name for n in self.request.nodes if n.name in lost and n.name not in self.lost]:
            self.lost.append(name)
            self._tell(f"error: Node failure on {name}")
            pids = {pid for pid, task in self.running.items() if task.node.name == name}
            processes.send(pids | processes.descendants(*pids), signal.SIGKILL)

    def _tell(self, line: str) -> None:
        try:
            os.write(self.writer, f"{line}\n".encode())
        except BrokenPipeError:  # srun was killed; the step goes on
            return
