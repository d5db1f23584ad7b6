"""Numbers of nodes, workers and GPUs (SP220 to SP225)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from srtplan.config.layouts.draft import Counts
from srtplan.config.layouts.resources import node_count
from srtplan.diagnostics import Finding

LARGEST = 10_000
"""No allocation has more nodes, workers or GPUs of a worker; a larger number is a slip, and would take long to plan."""


LARGEST_NODE = 1_000
"""GPUs of a node, likewise."""


def check(counts: Sequence[Counts], gpus_per_node: int) -> Iterator[Finding]:
    """Faults of the counts themselves; whether workers fit onto nodes is the plan's question."""
    impossible = [f for c in counts for f in _impossible(c)]
    yield from impossible
    if not 0 < gpus_per_node <= LARGEST_NODE:
        wanted = "positive" if gpus_per_node <= 0 else f"at most {LARGEST_NODE}"
        message = f"gpus_per_node must be {wanted}, not {gpus_per_node}"
        yield Finding(rule="SP220", path=("resources", "gpus_per_node"), message=message)
    elif not impossible:
        yield from _modes(counts)
        shared = any(o.workers and _shares(o, counts) for o in counts)
        for c in counts:
            yield from _per_worker(c, gpus_per_node, shared=shared)


def _impossible(c: Counts) -> Iterator[Finding]:
    for value, path in ((c.nodes, c.nodes_at), (c.workers, c.workers_at), (c.gpus, c.gpus_at)):
        if value is not None and value > LARGEST:
            yield Finding(rule="SP220", path=path, message=f"{path[-1]} is above {LARGEST}: {value}")
    for value, path in ((c.nodes, c.nodes_at), (c.workers, c.workers_at)):
        if value is not None and value < 0:
            yield Finding(rule="SP220", path=path, message=f"{path[-1]} cannot be negative: {value}")
    if c.gpus is not None and c.gpus <= 0:
        yield Finding(
            rule="SP220",
            path=c.gpus_at,
            message=f"{c.gpus_at[-1]} must be positive, not {c.gpus}",
            help="leave it out to share the nodes evenly",
        )


def _modes(counts: Sequence[Counts]) -> Iterator[Finding]:
    """Prefill and decode, or aggregated: exactly one of both, complete."""
    present = {c.mode: c for c in counts if c.present}
    agg = present.get("agg")
    if agg and len(present) > 1:
        yield Finding(
            rule="SP221",
            path=agg.workers_at if agg.workers else agg.nodes_at,
            on_key=True,
            message="aggregated workers beside prefill or decode workers",
            help="use prefill and decode, or agg alone",
        )
        return
    if not any(c.workers for c in counts):
        anchor = next(iter(present.values()), None)
        path = anchor.nodes_at if anchor else ("resources",)
        message = "there are no workers: give prefill and decode workers, or aggregated workers"
        yield Finding(rule="SP222", path=path, on_key=True, message=message)
        return
    if not agg:
        yield from _one_sided(counts)
    for c in present.values():
        yield from _without_nodes(c, counts)


def _one_sided(counts: Sequence[Counts]) -> Iterator[Finding]:
    working = [c for c in counts if c.workers]
    if len(working) == 1:
        (here,) = working
        other = "decode" if here.mode == "prefill" else "prefill"
        yield Finding(
            rule="SP222",
            path=here.workers_at,
            on_key=True,
            message=f"there are {here.mode} workers but no {other} workers",
            help=f"add {other} workers, or make these aggregated (agg) workers",
        )


def _without_nodes(c: Counts, counts: Sequence[Counts]) -> Iterator[Finding]:
    """Workers without nodes. Nodes without workers are one side of a pair, and reported as that."""
    if c.workers and not node_count(c) and not _shares(c, counts):
        yield Finding(
            rule="SP223",
            path=c.workers_at,
            message=f"{c.workers} {c.mode} workers, but no {c.mode} nodes",
            help=f"set {c.nodes_at[-1]}" + ("; 0 shares the prefill nodes" if c.mode == "decode" else ""),
        )


def _shares(c: Counts, counts: Sequence[Counts]) -> bool:
    return c.mode == "decode" and c.nodes == 0 and any(o.mode == "prefill" and o.nodes for o in counts)


def _per_worker(c: Counts, gpus_per_node: int, *, shared: bool) -> Iterator[Finding]:
    """An even share of the nodes; where decode workers stand on the prefill nodes, what is left is theirs."""
    if c.gpus is not None or not c.workers or not (nodes := node_count(c)):
        return
    total = nodes * gpus_per_node
    share, left = divmod(total, c.workers)
    if not share:
        yield Finding(
            rule="SP224",
            path=c.workers_at,
            message=f"{c.workers} {c.mode} workers, but only {total} GPUs on {nodes} nodes",
            help="fewer workers, or more nodes",
        )
    elif left and not shared:
        yield Finding(
            rule="SP225",
            path=c.workers_at,
            severity="warning",
            message=f"{left} of {total} GPUs stay unused: {c.workers} {c.mode} workers get {share} each",
            help=f"say so with {c.gpus_at[-1]}: {share}, or choose a number of workers that divides {total}",
        )
