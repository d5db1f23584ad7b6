"""A port that the processes of a worker have, as an engine declares it; the plan gives it its number.

``Port(kind="nccl", count="job")``: each process has one, numbered from ``ports.nccl`` of the cluster profile over the whole
job. The engine reads it as ``ctx.process.port("nccl")``.
"""

from __future__ import annotations

from typing import Literal

import attrs
from attrs import frozen

from srtplan.ir.recipe import Ports

TABLE = frozenset(field.name for field in attrs.fields(Ports))


@frozen(kw_only=True)
class Port:
    """One kind of port. Two workers never have the same port on one node, whatever is declared here."""

    kind: str
    """Its name: ``ctx.process.port(kind)``."""
    scope: Literal["process", "worker"] = "process"
    """`process`: each process has one. `worker`: the worker has one, on its first node, which all its processes know."""
    count: Literal["node", "job"] = "node"
    """`node`: numbers start again on every node. `job`: they count up over all nodes."""
    base: int | None = None
    """The first number; `--port-offset` moves it. Default: the profile's `ports:` entry of the same name."""
    fixed: int | None = None
    """The first number as the recipe's own options give it; `--port-offset` does not move it."""
    stride: int = 1
    """The distance between two workers' ports."""
    block: int = 1
    """How many consecutive ports are reserved."""
    beside: tuple[int, ...] = ()
    """Distances of further ports, above this one, that the engine opens by itself."""

    def __attrs_post_init__(self) -> None:
        """Check that the first number is known. Raises ValueError."""
        if self.base is None and self.fixed is None and self.kind not in TABLE:
            raise ValueError(
                f"the cluster profile has no port '{self.kind}': give Port(kind=..., base=NUMBER)"
            )
