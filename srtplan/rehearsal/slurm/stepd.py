"""The supervisor of one step: parent of all its tasks, in a process of its own.

In: a ``Request``. Out: the step's folder in the state, its tasks, lines to srun (``started``, ``error: node0:
task 0: Exited with exit code 3``), and an exit code: the highest of the tasks' codes. It is a subreaper, so that a
daemon that a task leaves behind stays below it and ends with the step, as with proctrack/cgroup.
"""

import os
import signal
import time
from pathlib import Path

from srtplan.rehearsal import faults, processes
from srtplan.rehearsal.slurm import tasks
from srtplan.rehearsal.slurm.options import UsageError
from srtplan.rehearsal.slurm.state import (
    Job,
    Node,
    State,
    Step,
    claim,
    read,
    record_text,
    signal_steps,
    write,
)

TICK_S = 0.2


def folder_of(state: str) -> Path:
    """Return the state folder as a path."""
    return Path(state)


class Request:
    """One step to be: where, how many tasks on each node, what, with which environment.

    ``number`` is the job's, in a heterogeneous job that of the component.
    """

    def __init__(
        self,
        *,
        state: State,
        job: Job,
        number: int,
        options: dict[str, str],
        command: list[str],
        nodes: list[Node],
        tasks_per_node: list[int],
        environment: dict[str, str],
    ) -> None:
        self.state, self.job, self.number, self.options, self.command = state, job, number, options, command
        self.nodes, self.tasks_per_node, self.environment = nodes, tasks_per_node, environment

    @property
    def name(self) -> str:
        """Name of the step: --job-name or the program's."""
        return self.options.get("job-name") or os.path.basename(self.command[0])  # noqa: PTH119


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
    return {
        "name": request.name,
        "job": str(request.number),
        "nodes": ",".join(node.name for node in request.nodes),
        "ntasks": str(sum(request.tasks_per_node)),
        "command": " ".join(request.command),
        **options,
    }


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
        for number in (
            signal.SIGTERM,
            signal.SIGINT,
            signal.SIGHUP,
            signal.SIGQUIT,
            signal.SIGUSR1,
            signal.SIGUSR2,
        ):
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
            if task is not None:
                self._ended(task, status)

    def _ended(self, task: tasks.Task, status: int) -> None:
        if task.node.name in self.lost:
            return  # nobody is left there to tell
        code = processes.exit_code(status)
        forced = self.faults.code()
        if forced is not None:
            code, status = forced, forced << 8
        self.worst = max(self.worst, code)
        if code:
            how = (
                signal.strsignal(os.WTERMSIG(status))
                if os.WIFSIGNALED(status)
                else f"Exited with exit code {code}"
            )
            self._tell(f"error: {task.node.name}: task {task.rank}: {how}")
        bad_exit = self.request.options.get("kill-on-bad-exit")
        if code and bad_exit not in {None, "0"} and self.running and self.kill_at is None:
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
        for name in (
            node.name for node in self.request.nodes if node.name in lost and node.name not in self.lost
        ):
            self.lost.append(name)
            self._tell(f"error: Node failure on {name}")
            pids = {pid for pid, task in self.running.items() if task.node.name == name}
            processes.send(pids | processes.descendants(*pids), signal.SIGKILL)

    def _tell(self, line: str) -> None:
        try:
            os.write(self.writer, f"{line}\n".encode())
        except BrokenPipeError:  # srun was killed; the step goes on
            return
