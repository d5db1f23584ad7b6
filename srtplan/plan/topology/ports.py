"""Allocation of ports: no host has the same port twice.

Every kind counts up from its base in the profile's ``ports:``. The range of a kind ends at the base of the next one. At
its end a counter wraps to its base, and ports in use on the node are skipped. So a 1,000-node job stays within the table,
and the ranges of two kinds never overlap.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from attrs import field, frozen

from srtplan.ir.recipe import Ports

PORTS = 65536
BASES = (
    "http", "bootstrap", "kv_events", "nixl", "kvbm", "system", "dist_init", "nccl", "dp_rpc", "vllm",
    "frontend", "frontend_internal", "nats", "etcd", "etcd_peer", "mooncake_master", "mooncake_metadata", "mooncake_metrics",
)  # fmt: skip


class PortsExhaustedError(Exception):
    """A kind has no free port left on a node."""

    def __init__(self, kind: str, node: int) -> None:
        super().__init__(f"no free port of kind '{kind}' on node {node}")
        self.kind = kind


@frozen(eq=False, repr=False)
class Allocator:
    """Allocates ports. ``used`` holds the ports in use on each node, ``ends`` the end of the range that starts at a port."""

    table: Ports
    used: dict[int, set[int]]
    counters: dict[tuple[str, int, int | None], int]
    ends: dict[int, int] = field(factory=dict)

    @classmethod
    def over(cls, table: Ports, reserved: Iterable[tuple[int, int]] = ()) -> Allocator:
        """Return an allocator that avoids the ``reserved`` (node, port) pairs."""
        used: dict[int, set[int]] = defaultdict(set)
        for node, port in reserved:
            used[node].add(port)
        return cls(table, used, defaultdict(int))

    def take(
        self,
        kind: str,
        node: int,
        *,
        job_wide: bool = False,
        stride: int = 1,
        block: int = 1,
        base: int | None = None,
        offsets: tuple[int, ...] = (),
    ) -> int:
        """Allocate the next port of a kind, counted over the whole job or per node.

        Reserves ``block`` consecutive ports, and the ports at the distances ``offsets`` above the first.
        """
        first: int = base if base is not None else getattr(self.table, kind)
        if first + max((block, *(distance + 1 for distance in offsets))) > PORTS:
            raise PortsExhaustedError(kind, node)
        key = (kind, first, None if job_wide else node)
        if first not in self.ends:
            self.ends[first] = _end(self.table, first)
        size = max(1, (self.ends[first] - first) // stride)
        used = self.used[node]
        for _ in range(size):
            port = first + self.counters[key] % size * stride
            self.counters[key] += -(-block // stride)
            needed = (*range(port, port + block), *(port + distance for distance in offsets))
            if used.isdisjoint(needed):
                used.update(needed)
                return port
        raise PortsExhaustedError(kind, node)


def _end(table: Ports, first: int) -> int:
    """Return the end of the range that starts at ``first``: the next base above it, or the ephemeral range."""
    above: list[int] = [base for kind in BASES if (base := getattr(table, kind)) > first]
    return min([*above, max(table.ephemeral_floor, first + 1)])
