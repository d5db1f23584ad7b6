"""Placement: which nodes and GPUs every worker gets.

In: for each mode how many workers of how many GPUs, GPUs per node, and the nodes for workers. Out: endpoints::

    allocate([Group("prefill", 2, 8), Group("decode", 4, 4)], gpus_per_node=8, nodes=(0, 1, 2, 3))
    -> prefill_0 on node 0, prefill_1 on node 1, decode_0 on node 2 [0-3], decode_1 on node 2 [4-7], ...

A worker of at least a node's GPUs takes whole consecutive nodes; smaller ones share nodes in order. Prefill and
decode do not share a node while another one is left. The order of modes is prefill, decode, agg, so a later role
moves nothing before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import frozen

from srtplan.ir.recipe import Mode
from srtplan.ir.topology import Endpoint


@frozen(eq=False, repr=False)
class Group:
    """``count`` workers of one mode, ``gpus`` each."""

    mode: Mode
    count: int
    gpus: int


class AllocationError(Exception):
    """The workers do not fit; ``mode`` is the role whose worker found no place, None if two of them collide."""

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
    """Place every worker.

    ``share`` lets prefill and decode share nodes freely; a worker of whole nodes begins on a fresh one then.
    ``spread`` puts one partial worker on a node.

    Raises AllocationError if a worker has no GPUs, is not whole nodes, finds no node, or two workers collide.
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
            f"a {group.mode} worker of {group.gpus} GPUs is not whole nodes of {gpus_per_node}",
            group.mode,
            f"use {whole} GPUs, or {whole - gpus_per_node}: a worker over several nodes has all their GPUs",
        )


class _Cursor:
    """The next free place: node ``i`` of the list, GPU ``offset`` on it."""

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
                f"{group.mode}_{index} ({group.gpus} GPUs) finds no place: all {len(self.nodes)} worker nodes are taken",
                group.mode,
                f"{group.count} {group.mode} workers of {group.gpus} GPUs do not fit; use fewer, or more nodes",
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
                        "add a node, or make the workers fit beside each other",
                    )
