"""Numbers of nodes, workers and GPUs (SP220 to SP225)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from srtplan.config.layouts.draft import Counts
from srtplan.config.layouts.resources import node_count
from srtplan.diagnostics import Finding, count_of

LARGEST = 10_000
"""Maximum of nodes, workers, and GPUs per worker. A larger number is a typing error, and would take long to plan."""


LARGEST_NODE = 1_000
"""Maximum of GPUs per node."""


def check(counts: Sequence[Counts], gpus_per_node: int) -> Iterator[Finding]:
    """Yield the problems of the counts themselves. Whether the workers fit onto the nodes is checked by the plan."""
    out_of_range = [f for c in counts for f in _out_of_range(c)]
    yield from out_of_range
    if not 0 < gpus_per_node <= LARGEST_NODE:
        limit = "at least 1" if gpus_per_node <= 0 else f"at most {LARGEST_NODE}"
        message = f"gpus_per_node must be {limit}, not {gpus_per_node}"
        yield Finding(rule="SP220", path=("resources", "gpus_per_node"), message=message)
    elif not out_of_range:
        yield from _modes(counts)
        shared = any(o.workers and _shares(o, counts) for o in counts)
        for c in counts:
            yield from _per_worker(c, gpus_per_node, shared=shared)


def _out_of_range(c: Counts) -> Iterator[Finding]:
    for value, path in ((c.nodes, c.nodes_at), (c.workers, c.workers_at), (c.gpus, c.gpus_at)):
        if value is not None and value > LARGEST:
            message = f"{path[-1]} must be at most {LARGEST}, not {value}"
            yield Finding(rule="SP220", path=path, message=message)
    for value, path in ((c.nodes, c.nodes_at), (c.workers, c.workers_at)):
        if value is not None and value < 0:
            yield Finding(rule="SP220", path=path, message=f"{path[-1]} must be 0 or more, not {value}")
    if c.gpus is not None and c.gpus <= 0:
        yield Finding(
            rule="SP220",
            path=c.gpus_at,
            message=f"{c.gpus_at[-1]} must be at least 1, not {c.gpus}",
            help=f"remove `{c.gpus_at[-1]}` to divide the GPUs of the nodes evenly",
        )


def _modes(counts: Sequence[Counts]) -> Iterator[Finding]:
    """Yield a problem unless there are either prefill and decode workers, or aggregated workers."""
    present = {c.mode: c for c in counts if c.present}
    agg = present.get("agg")
    if agg and len(present) > 1:
        yield Finding(
            rule="SP221",
            path=agg.workers_at if agg.workers else agg.nodes_at,
            on_key=True,
            message="aggregated workers cannot be combined with prefill or decode workers",
            help="remove the aggregated workers, or the prefill and decode workers",
        )
        return
    if not any(c.workers for c in counts):
        anchor = next(iter(present.values()), None)
        path = anchor.nodes_at if anchor else ("resources",)
        yield Finding(
            rule="SP222",
            path=path,
            on_key=True,
            message="the recipe has no workers",
            help=_worker_keys(counts),
        )
        return
    if not agg:
        yield from _one_sided(counts)
    for c in present.values():
        yield from _without_nodes(c, counts)


def _worker_keys(counts: Sequence[Counts]) -> str:
    """Return the help that names the keys to set, as the recipe's layout spells them."""
    keys = {c.mode: f"`{'.'.join(map(str, c.workers_at))}`" for c in counts}
    pair = " and ".join(keys[mode] for mode in ("prefill", "decode") if mode in keys)
    return "set " + ", or ".join(key for key in (pair, keys.get("agg")) if key) if keys else ""


def _one_sided(counts: Sequence[Counts]) -> Iterator[Finding]:
    working = [c for c in counts if c.workers]
    if len(working) == 1:
        (here,) = working
        other = "decode" if here.mode == "prefill" else "prefill"
        key = ".".join(str(step).replace(here.mode, other) for step in here.workers_at)
        yield Finding(
            rule="SP222",
            path=here.workers_at,
            on_key=True,
            message=f"the recipe has {here.mode} workers but no {other} workers",
            help=f"set `{key}`, or use aggregated (agg) workers instead",
        )


def _without_nodes(c: Counts, counts: Sequence[Counts]) -> Iterator[Finding]:
    """Yield a problem for workers without nodes. Nodes without workers are reported as a missing role."""
    if c.workers and not node_count(c) and not _shares(c, counts):
        yield Finding(
            rule="SP223",
            path=c.workers_at,
            message=f"{count_of(c.workers, f'{c.mode} worker')}, but no {c.mode} nodes",
            help=f"set `{'.'.join(map(str, c.nodes_at))}`{_sharing(c)}",
        )


def _sharing(c: Counts) -> str:
    """Return the end of a help: how decode shares the prefill nodes, as the recipe's layout spells it."""
    value = "colocate" if c.nodes_at[0] == "roles" else "0"
    return f"; {value} shares the prefill nodes" if c.mode == "decode" else ""


def _shares(c: Counts, counts: Sequence[Counts]) -> bool:
    return c.mode == "decode" and c.nodes == 0 and any(o.mode == "prefill" and o.nodes for o in counts)


def _per_worker(c: Counts, gpus_per_node: int, *, shared: bool) -> Iterator[Finding]:
    """Yield problems of an even share. GPUs left on shared prefill nodes belong to the decode workers."""
    if c.gpus is not None or not c.workers or not (nodes := node_count(c)):
        return
    total = nodes * gpus_per_node
    share, left = divmod(total, c.workers)
    if not share:
        yield Finding(
            rule="SP224",
            path=c.workers_at,
            message=f"{count_of(c.workers, f'{c.mode} worker')}, but only {count_of(total, 'GPU')} "
            f"on {count_of(nodes, 'node')}",
            help=f"set `{c.workers_at[-1]}` to at most {total}, or use more nodes",
        )
    elif left and not shared:
        yield Finding(
            rule="SP225",
            path=c.workers_at,
            severity="warning",
            message=f"{left} of {total} GPUs unused: {count_of(c.workers, f'{c.mode} worker')} with {share} each",
            help=f"choose a number of workers that divides {total}, or set `{c.gpus_at[-1]}: {share}` to accept this",
        )
