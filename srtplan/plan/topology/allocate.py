"""Allocation of nodes and GPUs to workers.

In: the number of workers and their GPUs for each mode, GPUs per node, and the nodes for workers. Out: endpoints::

    allocate([Group("prefill", 2, 8), Group("decode", 4, 4)], gpus_per_node=8, nodes=(0, 1, 2, 3))
    -> prefill_0 on node 0, prefill_1 on node 1, decode_0 on node 2 [0-3], decode_1 on node 2 [4-7], ...

A worker with at least a node's GPUs gets whole consecutive nodes; smaller workers share nodes in order. Prefill and decode
share a node only if no other node is left. Modes are placed in the order prefill, decode, agg, so adding workers to a
later mode does not move earlier ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import frozen

from srtplan.diagnostics import count_of
from srtplan.ir.recipe import Mode
from srtplan.ir.topology import Endpoint


@frozen(eq=False, repr=False)
class Group:
    """``count`` workers of one mode with ``gpus`` each."""

    mode: Mode
    count: int
    gpus: int


class AllocationError(Exception):
    """The workers do not fit onto the nodes; ``mode`` is the role of the worker that could not be placed."""

    def __init__(self, message: str, mode: Mode | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.mode = mode
        self.hint = hint


def allocate(
    groups: Sequence[Group],
    *,
    gpus_per_node: int,
    nodes: Sequence[int],
    spread: bool = False,
    share: bool = False,
) -> tuple[Endpoint, ...]:
    """Place every worker and return the endpoints.

    With ``share``, prefill and decode share nodes freely, and a worker of whole nodes starts on an unused node. With
    ``spread``, each worker smaller than a node gets a node of its own.

    Raises AllocationError if a worker has no GPUs, does not fill whole nodes, does not fit, or overlaps another worker.
    """
    cursor = _Cursor(gpus_per_node, nodes, spread=spread, packs=share)
    placed: list[Endpoint] = []
    previous: Mode | None = None
    for group in (g for g in groups if g.count):
        _check_size(group, gpus_per_node)
        if previous == "prefill" and group.mode == "decode" and not share:
            cursor.next_node_if_any()
        placed += [cursor.place(group, n) for n in range(group.count)]
        previous = group.mode
    _no_overlap(placed)
    return tuple(placed)


def _check_size(group: Group, gpus_per_node: int) -> None:
    if group.gpus < 1:
        raise AllocationError(
            f"a {group.mode} worker has {group.gpus} GPUs", group.mode, "use fewer workers or more nodes"
        )
    if group.gpus > gpus_per_node and group.gpus % gpus_per_node:
        whole = -(-group.gpus // gpus_per_node) * gpus_per_node
        raise AllocationError(
            f"a {group.mode} worker with {group.gpus} GPUs does not fill whole nodes of {gpus_per_node}",
            group.mode,
            f"use {whole} or {whole - gpus_per_node} GPUs per worker",
        )


class _Cursor:
    """The next free GPU: ``offset`` on node ``i`` of the list."""

    def __init__(self, gpus_per_node: int, nodes: Sequence[int], *, spread: bool, packs: bool) -> None:
        self.per_node, self.nodes, self.spread, self.packs = gpus_per_node, nodes, spread, packs
        self.i = self.offset = 0

    def next_node_if_any(self) -> None:
        if self.offset and self.i + 1 < len(self.nodes):
            self.i, self.offset = self.i + 1, 0

    def place(self, group: Group, index: int) -> Endpoint:
        if group.gpus >= self.per_node:
            span = group.gpus // self.per_node
            if self.packs:
                self.next_node_if_any()
            where = self._nodes(group, index, span)
            self.i += span
            return Endpoint(mode=group.mode, index=index, nodes=where, gpus=tuple(range(self.per_node)))
        if self.offset + group.gpus > self.per_node:
            self.i, self.offset = self.i + 1, 0
        where = self._nodes(group, index, 1)
        gpus = tuple(range(self.offset, self.offset + group.gpus))
        self.offset += group.gpus
        if self.offset >= self.per_node or self.spread:
            self.i, self.offset = self.i + 1, 0
        return Endpoint(mode=group.mode, index=index, nodes=where, gpus=gpus)

    def _nodes(self, group: Group, index: int, span: int) -> tuple[int, ...]:
        where = tuple(self.nodes[self.i : self.i + span])
        if len(where) < span:
            raise AllocationError(
                f"no room for {group.mode}_{index} ({count_of(group.gpus, 'GPU')}) on "
                f"{count_of(len(self.nodes), 'worker node')}",
                group.mode,
                f"use fewer than {count_of(group.count, f'{group.mode} worker')}, fewer GPUs per worker, or more nodes",
            )
        return where


def _no_overlap(placed: Iterable[Endpoint]) -> None:
    owner: dict[tuple[int, int], Endpoint] = {}
    for endpoint in placed:
        for node in endpoint.nodes:
            for gpu in endpoint.gpus:
                other = owner.setdefault((node, gpu), endpoint)
                if other is not endpoint:
                    raise AllocationError(
                        f"{other.name} and {endpoint.name} would both use GPU {gpu} of node {node}",
                        endpoint.mode,
                        "add a node, or use fewer GPUs per worker",
                    )
