"""The tasks of a step: where their output goes, what their environment says, how one is started.

In: a ``Request``. Out: processes. Environment as measured on Slurm 22.05 inside a step.
"""

import os
import re
import signal
import time
from collections.abc import Iterator

from srtplan.rehearsal import processes
from srtplan.rehearsal.slurm import container, hostlist
from srtplan.rehearsal.slurm.request import Request
from srtplan.rehearsal.slurm.state import Node, Step

_PER_TASK = re.compile(r"%(?P<width>\d*)(?P<letter>[tnN])")


class Task:
    """One task: its rank in the step and on its node, the node, its environment."""

    def __init__(
        self, step: Step, node: Node, *, rank: int, node_index: int, environment: dict[str, str]
    ) -> None:
        self.step, self.node, self.rank, self.node_index = step, node, rank, node_index
        self.environment = environment


class Streams:
    """Open files of a step by name; a pattern with %t, %n or %N is opened by each task."""

    def __init__(self, output: str | None, error: str | None, flags: int) -> None:
        self.output, self.error, self.flags = output, error, flags
        self.opened: dict[str, int] = {}


def open_streams(request: Request, step: Step) -> Streams:
    """Open --output and --error, in the submitter's directory. Raises OSError if that fails."""
    append = request.options.get("open-mode", "").startswith("a")
    streams = Streams(
        output=_pattern(request, step, "output"),
        error=_pattern(request, step, "error"),
        flags=os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_TRUNC),
    )
    for name in {streams.output, streams.error} - {None}:
        if name and not _PER_TASK.search(name):
            streams.opened[name] = os.open(name, streams.flags | os.O_CLOEXEC, 0o666)
    return streams


def _pattern(request: Request, step: Step, which: str) -> str | None:
    name = request.options.get(which)
    if name is None or name == "all":
        return None
    if name == "none":
        return "/dev/null"
    job = request.job.number
    known = {"%j": job, "%J": step.id, "%s": step.number, "%A": job, "%x": request.name}
    for key, value in known.items():
        name = name.replace(key, str(value))
    return name


def _open_for(streams: Streams, name: str, task: Task) -> int:
    """Return the descriptor of a file for one task."""
    if name in streams.opened:
        return streams.opened[name]
    values = {"t": str(task.rank), "n": str(task.node_index), "N": task.node.name}
    own = _PER_TASK.sub(lambda match: values[match["letter"]].zfill(int(match["width"] or 0)), name)
    return os.open(own, streams.flags | os.O_CLOEXEC, 0o666)


def layout(request: Request, step: Step) -> Iterator[Task]:
    """Yield the tasks in rank order: block distribution, node after node."""
    common = _step_environment(request, step)
    rank = 0
    for index, (node, count) in enumerate(zip(request.nodes, request.tasks_per_node, strict=True)):
        ranks = range(rank, rank + count)
        for local, number in enumerate(ranks):
            own = {
                "SLURM_PROCID": str(number), "SLURM_LOCALID": str(local), "SLURM_NODEID": str(index),
                "SLURM_GTIDS": ",".join(map(str, ranks)), "SLURMD_NODENAME": node.name, "SLURM_TOPOLOGY_ADDR": node.name,
                "SRT_NODE_ADDRESS": node.address, "CURL_HOME": str(request.state.folder / "curl" / node.name),
            }  # fmt: skip
            yield Task(step, node, rank=number, node_index=index, environment=common | own)
        rank += count


def _step_environment(request: Request, step: Step) -> dict[str, str]:
    """Return the environment that all tasks share."""
    job, state = request.job, request.state
    names = [node.name for node in request.nodes]
    ntasks = str(sum(request.tasks_per_node))
    per_node = _repeat(request.tasks_per_node)
    gpus = int(job.record.get("gpus", "0"))
    result = dict(request.environment)
    result |= {
        "SLURM_JOB_ID": str(job.number), "SLURM_JOBID": str(job.number), "SLURM_JOB_NAME": request.name,
        "SLURM_JOB_NODELIST": job.record["nodes"], "SLURM_NODELIST": job.record["nodes"],
        "SLURM_STEP_ID": str(step.number), "SLURM_STEPID": str(step.number),
        "SLURM_STEP_NODELIST": hostlist.compress(names), "SLURM_STEP_NUM_NODES": str(len(names)),
        "SLURM_NNODES": str(len(names)), "SLURM_STEP_NUM_TASKS": ntasks, "SLURM_NTASKS": ntasks, "SLURM_NPROCS": ntasks,
        "SLURM_STEP_TASKS_PER_NODE": per_node, "SLURM_TASKS_PER_NODE": per_node, "SLURM_DISTRIBUTION": "block",
        "SLURM_SRUN_COMM_HOST": state.nodes()[0].address, "SLURM_LAUNCH_NODE_IPADDR": state.nodes()[0].address,
        "SRT_REHEARSAL_STEP_START": str(time.monotonic()), "SRT_REHEARSAL_STEP": str(step.folder),
        "PATH": f"{state.setting('node_path', '')}:{result.get('PATH', '/usr/bin:/bin')}",
    }  # fmt: skip
    if gpus:  # the gres plugin overwrites what the caller had
        result["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, range(gpus)))
        result["SLURM_GPUS_ON_NODE"] = str(gpus)
    result["SRT_REHEARSAL_VIEW"] = request.options.get("container-mounts", "")
    if "container-image" in request.options and not state.has_namespaces:
        result["SRT_REHEARSAL_MOUNTS"] = request.options.get("container-mounts", "")
    else:
        result.pop("SRT_REHEARSAL_MOUNTS", None)
    return result


def _repeat(counts: list[int]) -> str:
    """Write counts as Slurm does: ``1(x4)``, ``3,2``."""
    words: list[tuple[int, int]] = []
    for count in counts:
        if words and words[-1][0] == count:
            words[-1] = (count, words[-1][1] + 1)
        else:
            words.append((count, 1))
    return ",".join(f"{count}(x{times})" if times > 1 else str(count) for count, times in words)


def start(request: Request, task: Task, streams: Streams) -> int:
    """Fork one task and return its process id."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        _prepare(request, task, streams, parent)
    except OSError as error:
        _die(task, f"task {task.rank} cannot be set up: {error.strerror}: {error.filename}", 1)
    environment = task.environment | {"SLURM_TASK_PID": str(os.getpid())}
    try:
        os.execvpe(request.command[0], request.command, environment)  # noqa: S606
    except OSError as error:
        _die(task, f"execve(): {request.command[0]}: {error.strerror}", error.errno or 1)
    return 0


def _die(task: Task, message: str, code: int) -> None:
    os.write(2, f"slurmstepd-{task.node.name}: error: {message}\n".encode())
    os._exit(code)


def _prepare(request: Request, task: Task, streams: Streams, parent: int) -> None:
    """Give this forked process the signals, streams, files and directory of the task. Raises OSError."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(number) not in (None, signal.SIG_DFL):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    os.setpgid(0, 0)
    _redirect(request, task, streams)
    directory = request.options.get("chdir", ".")
    if "container-image" in request.options:
        directory = _enter_container(request, task)
    processes.die_with_parent(parent)  # after the namespaces: taking one forgets it
    os.chdir(directory)


def _enter_container(request: Request, task: Task) -> str:
    """Enter the view of the container where that is possible, and return the task's directory in it."""
    root = task.step.folder / "root" / f"{task.node.name}.{task.rank}"
    root.mkdir(parents=True)
    if request.state.has_namespaces:
        entries = container.mounts(request.options.get("container-mounts", ""))
        container.enter(root, entries, request.state.folder / "absent")
        return request.options.get("container-workdir", "/")
    return str(root)


def _redirect(request: Request, task: Task, streams: Streams) -> None:
    given = request.options.get("input", "all")
    source = given if given.startswith("/") else "/dev/null"
    if given != "all" or task.rank > 0:
        os.dup2(os.open(source, os.O_RDONLY), 0)
    if streams.output:
        os.dup2(_open_for(streams, streams.output, task), 1)
        if not streams.error:
            os.dup2(1, 2)
    if streams.error:
        os.dup2(_open_for(streams, streams.error, task), 2)
