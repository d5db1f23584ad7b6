"""What an srun command line asks for: nodes, tasks, their environment.

In: parsed options and the command. Out: a ``Request``. Raises UsageError with srun's own text.
"""

import os
import re

from srtplan.rehearsal.slurm import container, hostlist
from srtplan.rehearsal.slurm.options import UsageError, complain
from srtplan.rehearsal.slurm.state import Job, Node, State

_MULTIPLE = {"k": 1024, "m": 1024 * 1024}


class Request:
    """One step to be: where, how many tasks on each node, what, with which environment.

    ``number`` is the job's, in a heterogeneous job that of the component.
    """

    def __init__(
        self, *, state: State, job: Job, number: int, options: dict[str, str], command: list[str],
        nodes: list[Node], tasks_per_node: list[int], environment: dict[str, str],
    ) -> None:  # fmt: skip
        self.state, self.job, self.number, self.options, self.command = state, job, number, options, command
        self.nodes, self.tasks_per_node, self.environment = nodes, tasks_per_node, environment

    @property
    def name(self) -> str:
        """Name of the step: --job-name or the program's."""
        return self.options.get("job-name") or os.path.basename(self.command[0])  # noqa: PTH119


def request(state: State, options: dict[str, str], command: list[str]) -> Request:
    """Check the command line as srun does and lay out the tasks over the nodes."""
    if not command or ":" in command:  # a lone colon separates components
        raise UsageError("srun: fatal: No command given to execute.", 1)
    if "ntasks-per-node" not in options and "SLURM_NTASKS" in os.environ:
        options.setdefault("ntasks", os.environ["SLURM_NTASKS"])
    if "label" in options:
        complain("srun: the rehearsal does not label lines")
    job = _job(state, options)
    _check(options)
    group, allocated = _component(options, job)
    tasks = _layout(options, _nodes(options, allocated))
    by_name = {node.name: node for node in state.nodes()}
    return Request(
        state=state, job=job, number=job.components()[group], options=options, command=command,
        nodes=[by_name[name] for name, _ in tasks], tasks_per_node=[count for _, count in tasks],
        environment=environment(options, dict(os.environ)),
    )  # fmt: skip


def _component(options: dict[str, str], job: Job) -> tuple[int, list[str]]:
    """Return the component of a heterogeneous job that the step is for, the first by default, and its nodes."""
    parts = hostlist.components(hostlist.expand(job.record["nodes"]), job.record["components"])
    text = options.get("het-group", "0")
    if "het-group" in options and len(parts) == 1:
        raise UsageError("srun: fatal: Not a hetjob allocation", 1)
    if not text.isdigit() or int(text) >= len(parts):
        raise UsageError(f"srun: fatal: Invalid --het-group value: {text}", 1)
    return int(text), parts[int(text)]


def _job(state: State, options: dict[str, str]) -> Job:
    number = options.get("jobid") or os.environ.get("SLURM_JOB_ID", "")
    job = state.job(number)
    if job is None or job.is_over:
        text = f"Unable to confirm allocation for job {number or '(none)'}: Invalid job id specified"
        raise UsageError(f"srun: error: {text}", 1)
    return job


def _check(options: dict[str, str]) -> None:
    if options.get("open-mode", "t")[:1] not in {"a", "t"}:
        raise UsageError("srun: error: Invalid --open-mode specification", 255)
    try:
        container.mounts(options.get("container-mounts", ""))
    except ValueError as error:
        raise UsageError(f"srun: error: {error}", 255) from error


def _count(options: dict[str, str], name: str, meaning: str) -> int | None:
    text = options.get(name)
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)(?:-\d+)?([km]?)", text)
    if match is None or int(match.group(1)) == 0:
        raise UsageError(f'srun: error: "{text}" is not a valid {meaning}', 255)
    return int(match.group(1)) * _MULTIPLE.get(match.group(2), 1)


def _nodes(options: dict[str, str], allocated: list[str]) -> list[str]:
    """Return the nodes of the step, in the order of the allocation, as Slurm numbers them."""
    named = _named(options, "nodelist")
    usable = [name for name in allocated if name not in _named(options, "exclude")]
    wanted, ntasks = _count(options, "nodes", "node count"), _count(options, "ntasks", "number of tasks")
    if wanted is None:
        wanted = len(named) or (min(ntasks, len(usable)) if ntasks else len(usable))
    if wanted > len(usable) or not set(named) <= set(allocated):
        where = f"job {os.environ.get('SLURM_JOB_ID', '')}"
        why = "Requested node configuration is not available"
        raise UsageError(f"srun: error: Unable to create step for {where}: {why}", 1)
    if ntasks and ntasks < wanted and "ntasks-per-node" not in options:
        complain(f"srun: Warning: can't run {ntasks} processes on {wanted} nodes, setting nnodes to {ntasks}")
        wanted = ntasks
    if len(named) > wanted:
        complain(
            "srun: error: Required nodelist includes more nodes than permitted by max-node count "
            f"({len(named)} > {wanted}). Eliminating nodes from the nodelist."
        )
        named = named[:wanted]
    others = [name for name in usable if name not in named]
    chosen = {*named, *others[: wanted - len(named)]}
    return [name for name in allocated if name in chosen]


def _named(options: dict[str, str], name: str) -> list[str]:
    """Return the nodes of an option, each once."""
    try:
        return list(dict.fromkeys(hostlist.expand(options.get(name, ""))))
    except ValueError as error:
        raise UsageError(f"srun: error: {error}", 1) from error


def _layout(options: dict[str, str], nodes: list[str]) -> list[tuple[str, int]]:
    """Return how many tasks each node gets: as even as possible, the first nodes get the rest."""
    per_node = _count(options, "ntasks-per-node", "ntasks-per-node")
    total = _count(options, "ntasks", "number of tasks") or (per_node or 1) * len(nodes)
    even, rest = divmod(total, len(nodes))
    return [(name, even + (index < rest)) for index, name in enumerate(nodes)]


def environment(options: dict[str, str], own: dict[str, str]) -> dict[str, str]:
    """Return what --export lets through: everything, nothing but SLURM_*, or the named variables.

    ``ALL,V=x`` does not replace a V that the caller has (measured, and in srun's man page).
    """
    words = options.get("export", own.get("SLURM_EXPORT_ENV", "ALL")).split(",")
    ours = ("SLURM", "SRT_REHEARSAL", "PATH")
    kept = dict(own) if "ALL" in words else {k: v for k, v in own.items() if k.startswith(ours)}
    for word in words:
        name, has_value, value = word.partition("=")
        if has_value:
            kept.setdefault(name, value)
        elif name in own and name not in {"ALL", "NONE", "NIL"}:
            kept[name] = own[name]
    return kept
