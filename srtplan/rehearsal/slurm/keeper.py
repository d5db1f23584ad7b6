"""The keeper of one job: parent of its batch script, and of everything the job leaves behind.

In: a job's folder with its nodes; ``keeper STATE NUMBER`` as a program of its own, whose standard input is open for as long
as the job is needed. Out: ``state`` and ``exit`` in that folder, and no process of the job. It plays slurmd's part:
TERM to steps and batch shell and KILL after KillWait on scancel or at the time limit, the signal of ``--signal=B:USR1@60``
before that, and the end of all steps when the batch script has ended.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Callable

from srtplan.rehearsal import faults, processes
from srtplan.rehearsal.slurm import container, hostlist
from srtplan.rehearsal.slurm.scancel import signal_all
from srtplan.rehearsal.slurm.state import Job, State, read, write

TICK_S = 0.1
NOTICE_S = 0.5
"""How long Slurm takes from a node's failure to the end of the job; on a real site it is minutes."""
WARNING_S = 60
"""How long before the time limit ``--signal`` comes if it does not say so."""
WAITED = frozenset({signal.SIGCHLD, signal.SIGTERM})


def main(state: str, argv: list[str]) -> int:
    """Keep the job of a number; say ``ready`` once it can be cancelled."""
    cluster = State(state)
    job = cluster.job(argv[0])
    assert job is not None  # noqa: S101 -- made before the keeper is started
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, WAITED)
    container.probe(cluster)
    write(job.folder / "keeper", processes.identity(os.getpid()))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    Keeper(cluster, job).run(lambda: not select.select([0], [], [], 0)[0])
    return 0


class Keeper:
    """One job's keeper, in a process of its own."""

    def __init__(self, state: State, job: Job) -> None:
        self.state, self.job = state, job
        self.record = job.record
        self.nodes = hostlist.expand(self.record["nodes"])
        self.batch = 0
        self.status: int | None = None
        self.ending = ""
        self.kill_at: float | None = None
        self.lost_at: float | None = None
        self.environment = self._environment()
        self.kill_wait = float(state.setting("kill_wait", "30"))

    def run(self, is_wanted: Callable[[], bool]) -> None:
        """Run the job to its end; at once once nobody wants it."""
        signal.pthread_sigmask(signal.SIG_BLOCK, WAITED)
        processes.become_subreaper()
        write(self.job.folder / "keeper", processes.identity(os.getpid()))
        self.batch = self._start_batch()
        write(self.job.folder / "batch", processes.identity(self.batch))
        write(self.job.folder / "state", "RUNNING")
        timers = self._timers()
        while self.status is None:
            if not is_wanted():
                self.kill_at = 0.0
            self._wait()
            while timers and time.monotonic() >= timers[0][0]:
                timers.pop(0)[1]()
            self._notice_lost_nodes()
            if self.kill_at is not None and time.monotonic() >= self.kill_at:
                self._signal_steps(signal.SIGKILL)
                processes.kill_below(os.getpid())
                self._reap()
        self._end_steps()
        processes.kill_below(os.getpid())
        self._finish()

    def _wait(self) -> None:
        caught = signal.sigtimedwait(WAITED, TICK_S)
        if caught is not None and caught.si_signo == signal.SIGTERM:
            self._cancel("CANCELLED")
        self._reap()

    def _reap(self) -> None:
        for pid, status in processes.reap():
            if pid == self.batch:
                self.status = status

    def _timers(self) -> list[tuple[float, Callable[[], None]]]:
        """Return when the time limit, the signal before it, and the loss of nodes come, in order."""
        start, limit = time.monotonic(), int(self.record["time_limit"])
        timers: list[tuple[float, Callable[[], None]]] = []
        if limit:
            timers.append((start + limit, lambda: self._cancel("TIMEOUT")))
        if limit and self.record["signal"]:
            where, _, rest = self.record["signal"].rpartition(":")
            name, _, before = rest.partition("@")
            at = start + limit - int(before or WARNING_S)
            timers.append((at, lambda: self._warn(name, is_batch="B" in where)))
        lost = {node: faults.for_step(self.environment, node) for node in self.nodes}
        times = {n: f.at or 0.0 for n, found in lost.items() for f in found if f.kind == "lost"}
        if times:
            timers.append((start + min(times.values()), lambda: self.job.lose(list(times))))
        return sorted(timers, key=lambda timer: timer[0])

    def _notice_lost_nodes(self) -> None:
        """End the job that has lost a node, unless it asked to go on; without its first node it is over at once."""
        lost = read(self.job.folder / "lost").split() if self.kill_at is None else []
        if lost and self.lost_at is None:
            self.lost_at = time.monotonic()
            if self.nodes[0] in lost:
                self.ending = "NODE_FAIL"
                processes.kill_below(os.getpid())
        elif self.lost_at and time.monotonic() >= self.lost_at + NOTICE_S and not self.record["no_kill"]:
            self._cancel("NODE_FAIL")

    def _warn(self, name: str, *, is_batch: bool) -> None:
        number = int(name) if name.isdigit() else int(signal.Signals[f"SIG{name.removeprefix('SIG')}"])
        if is_batch:
            processes.send([self.batch], number)
        else:
            self._signal_steps(number)

    def _cancel(self, ending: str) -> None:
        """TERM to every step and to the batch shell at once, KILL after KillWait."""
        if self.kill_at is None:
            self.ending = ending
            self.kill_at = time.monotonic() + self.kill_wait
            write(self.job.folder / "state", "COMPLETING")
            self._signal_steps(signal.SIGTERM)
            processes.send([self.batch], signal.SIGTERM)

    def _signal_steps(self, number: int) -> None:
        signal_all(self.job.live_steps(), number)

    def _end_steps(self) -> None:
        """End the steps that the batch script left running, as slurmd does: TERM, KillWait, KILL."""
        left = self.job.live_steps()
        if not left:
            return
        write(self.job.folder / "left", "\n".join(step.record["name"] for step in left))
        write(self.job.folder / "state", "COMPLETING")
        told: set[int] = set()
        end = self.kill_at or time.monotonic() + self.kill_wait
        while time.monotonic() < end and (left := self.job.live_steps()):
            late = [step for step in left if step.number not in told]  # one may just have been starting
            signal_all(late, signal.SIGTERM)
            told |= {step.number for step in late}
            self._wait()
        self._signal_steps(signal.SIGKILL)

    def _finish(self) -> None:
        status = self.status if self.status is not None else int(signal.SIGKILL)
        code, number = (0, os.WTERMSIG(status)) if os.WIFSIGNALED(status) else (os.WEXITSTATUS(status), 0)
        write(self.job.folder / "exit", f"{code}:{number}")
        write(self.job.folder / "state", self.ending or ("COMPLETED" if status == 0 else "FAILED"))

    def _start_batch(self) -> int:
        keeper = os.getpid()
        pid = os.fork()
        if pid:
            return pid
        try:
            self._become_batch(keeper)
        except OSError as error:
            sys.stderr.write(f"slurmstepd: error: {error}\n")
        os._exit(127)

    def _become_batch(self, keeper: int) -> None:
        """Turn this fork into the batch script. Raises OSError if it cannot be started."""
        os.setsid()
        processes.die_with_parent(keeper)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        os.chdir(self.record["workdir"])
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.dup2(self._open("output"), 1)
        os.dup2(self._open("error") if self.record["error"] else 1, 2)
        script = self.job.folder / "slurm_script"
        script.chmod(0o700)
        arguments = [word for word in read(self.job.folder / "arguments").split("\0") if word]
        os.execve(script, [str(script), *arguments], self.environment | {"SLURM_TASK_PID": str(os.getpid())})  # noqa: S606

    def _open(self, which: str) -> int:
        mode = os.O_APPEND if self.record["open_mode"].startswith("a") else os.O_TRUNC
        return os.open(
            self.record[which].replace("%N", self.nodes[0]), os.O_WRONLY | os.O_CREAT | mode, 0o666
        )

    def _environment(self) -> dict[str, str]:
        """Return the environment of the batch script: the submitter's and Slurm's."""
        pairs = (item.partition("=") for item in read(self.job.folder / "environ").split("\0"))
        own = {name: value for name, _, value in pairs if name}
        record, number, count = self.record, str(self.job.number), str(len(self.nodes))
        own |= {
            "SLURM_JOB_ID": number, "SLURM_JOBID": number, "SLURM_JOB_NAME": record["job_name"],
            "SLURM_JOB_NODELIST": record["nodes"], "SLURM_NODELIST": record["nodes"],
            "SLURM_JOB_NUM_NODES": count, "SLURM_NNODES": count,
            "SLURM_NODEID": "0", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_GTIDS": "0",
            "SLURMD_NODENAME": self.nodes[0], "SLURM_TASKS_PER_NODE": f"1(x{count})" if count != "1" else "1",
            "SLURM_SUBMIT_DIR": record["submit_dir"], "SLURM_SUBMIT_HOST": "login", "SLURM_CLUSTER_NAME": "rehearsal",
            "SLURM_JOB_PARTITION": record["partition"], "SLURM_JOB_ACCOUNT": record["account"],
            "SLURM_JOB_UID": str(os.getuid()), "SLURM_JOB_USER": record["user"],
            "CURL_HOME": str(self.state.folder / "curl" / self.nodes[0]),
        }  # fmt: skip
        now, limit, gpus = (
            int(time.clock_gettime(time.CLOCK_REALTIME)),
            int(record["time_limit"]),
            int(record["gpus"]),
        )
        own |= {"SLURM_JOB_START_TIME": str(now)} | self._components()
        if limit:
            own["SLURM_JOB_END_TIME"] = str(now + limit)
        if record["ntasks"]:
            own |= {"SLURM_NTASKS": record["ntasks"], "SLURM_NPROCS": record["ntasks"]}
        if gpus:
            own |= {"SLURM_GPUS_ON_NODE": str(gpus), "CUDA_VISIBLE_DEVICES": ",".join(map(str, range(gpus)))}
        return own

    def _components(self) -> dict[str, str]:
        """Return what a heterogeneous job sees besides: its own node list is that of the first component."""
        parts = hostlist.components(self.nodes, self.record["components"])
        if len(parts) == 1:
            return {}
        lists, numbers, first = (
            [hostlist.compress(part) for part in parts],
            self.job.components(),
            str(len(parts[0])),
        )
        named = {f"SLURM_JOB_NODELIST_HET_GROUP_{n}": text for n, text in enumerate(lists)}
        named |= {f"SLURM_JOB_ID_HET_GROUP_{n}": str(number) for n, number in enumerate(numbers)}
        return named | {
            "SLURM_HET_SIZE": str(len(parts)), "SLURM_JOB_NODELIST": lists[0], "SLURM_NODELIST": lists[0],
            "SLURM_NNODES": first, "SLURM_JOB_NUM_NODES": first,
        }  # fmt: skip
