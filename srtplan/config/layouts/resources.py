"""Nodes, workers and GPUs per worker of each mode, computed from the counts of a recipe.

In: the ``Counts`` of each mode and ``gpus_per_node``. Out: per mode ``(nodes, workers, gpus per worker)``::

    prefill: 1 node, 2 workers; decode: 2 nodes, 1 worker; 8 GPUs per node
      ->  {"prefill": (1, 2, 4), "decode": (2, 1, 16)}
"""

from __future__ import annotations

from collections.abc import Sequence

from srtplan.config.layouts.draft import Counts
from srtplan.ir.recipe import Mode

Sizes = dict[Mode, tuple[int, int, int]]


def sizes(counts: Sequence[Counts], gpus_per_node: int) -> Sizes:
    """Return nodes, workers and GPUs per worker of each mode that has workers."""
    by_mode = {c.mode: c for c in counts}
    prefill = by_mode.get("prefill")
    shared = _gpus(prefill, gpus_per_node, fallback=gpus_per_node) if prefill else gpus_per_node
    result: Sizes = {}
    for c in counts:
        if c.workers:
            nodes = node_count(c)
            fallback = shared if c.mode == "decode" and c.nodes == 0 else gpus_per_node
            result[c.mode] = (nodes, c.workers, _gpus(c, gpus_per_node, fallback=fallback))
    return result


def node_count(c: Counts) -> int:
    """Return the nodes of a mode; defaults to 1 for aggregated workers."""
    return 1 if c.mode == "agg" and c.nodes is None else c.nodes or 0


def _gpus(c: Counts, gpus_per_node: int, *, fallback: int) -> int:
    """Return the GPUs per worker; defaults to an even share of the nodes, rounded down."""
    if c.gpus is not None:
        return c.gpus
    nodes = node_count(c)
    return nodes * gpus_per_node // c.workers if nodes and c.workers else fallback
