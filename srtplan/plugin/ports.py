"""Ports that an engine declares for its workers; srtplan allocates the numbers.

``Port(kind="nccl", count="job")`` gives each process a port, numbered from ``ports.nccl`` of the cluster profile across the
whole job. The engine reads it as ``ctx.process.port("nccl")``.
"""

from __future__ import annotations

from typing import Literal

import attrs
from attrs import frozen

from srtplan.ir.recipe import Ports

TABLE = frozenset(field.name for field in attrs.fields(Ports))


@frozen(kw_only=True)
class Port:
    """A kind of port. Two workers on one node never get the same port, whatever their declarations."""

    kind: str
    """The name; ``ctx.process.port(kind)`` returns the number."""
    scope: Literal["process", "worker"] = "process"
    """`process`: one per process. `worker`: one per worker, on its first node and known to all its processes."""
    count: Literal["node", "job"] = "node"
    """`node`: numbering restarts on every node. `job`: numbering continues across all nodes."""
    base: int | None = None
    """The first number; `--port-offset` shifts it. Default: the entry of the same name in the profile's `ports:`."""
    fixed: int | None = None
    """The first number, if the recipe's own options set it; `--port-offset` does not shift it."""
    stride: int = 1
    """The distance between the ports of two workers."""
    block: int = 1
    """The number of consecutive ports to reserve."""
    offsets: tuple[int, ...] = ()
    """Offsets of additional ports, above this one, that the engine opens on its own."""

    def __attrs_post_init__(self) -> None:
        """Check that the first number is known. Raises ValueError."""
        if self.base is None and self.fixed is None and self.kind not in TABLE:
            raise ValueError(
                f"the cluster profile has no port '{self.kind}': write Port(kind='{self.kind}', base=NUMBER)"
            )
