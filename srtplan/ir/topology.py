"""Where things run: endpoints (logical workers), their processes, and the roles of the nodes.

Nodes are indices into the allocation, GPUs are indices on a node. An endpoint that spans nodes has the same GPU
indices on each of them.
"""

from __future__ import annotations

from attrs import field, frozen

from srtplan.ir.recipe import Mode


@frozen(kw_only=True)
class Endpoint:
    """A worker as the router sees it: one model replica, on one node or several whole nodes."""

    mode: Mode
    index: int
    nodes: tuple[int, ...]
    gpus: tuple[int, ...]

    @property
    def name(self) -> str:
        """``prefill_0``."""
        return f"{self.mode}_{self.index}"


@frozen(kw_only=True)
class Process:
    """The part of an endpoint on one node. Ports of a kind in ``shared`` are the worker's: its leader opens them."""

    mode: Mode
    endpoint: int
    rank: int
    node: int
    gpus: tuple[int, ...]
    leader: bool
    ports: tuple[tuple[str, int], ...] = ()
    shared: frozenset[str] = frozenset()

    def port(self, kind: str) -> int:
        """A port of this process; KeyError if the plan has none of that kind."""
        for name, port in self.ports:
            if name == kind:
                return port
        raise KeyError(kind)


@frozen(kw_only=True)
class Nodes:
    """Roles of the allocated nodes; ``workers`` are those that endpoints are placed on.

    ``components`` are the sizes of a heterogeneous job's parts, in order of the nodes; empty for an ordinary job.
    """

    total: int
    infra: int
    head: int
    bench: int
    workers: tuple[int, ...]
    components: tuple[int, ...] = ()

    def component(self, node: int) -> int:
        """The number of the component that holds a node; 0 in an ordinary job."""
        end = 0
        for number, size in enumerate(self.components):
            end += size
            if node < end:
                return number
        return 0


@frozen(kw_only=True)
class Topology:
    """The placement of one job."""

    nodes: Nodes
    endpoints: tuple[Endpoint, ...]
    processes: tuple[Process, ...]
    _by_worker: dict[tuple[Mode, int], tuple[Process, ...]] = field(init=False, eq=False, repr=False)

    @_by_worker.default
    def _group(self) -> dict[tuple[Mode, int], tuple[Process, ...]]:
        """A job has thousands of processes: each worker's are looked up, not searched."""
        groups: dict[tuple[Mode, int], list[Process]] = {}
        for p in self.processes:
            groups.setdefault((p.mode, p.endpoint), []).append(p)
        return {worker: tuple(own) for worker, own in groups.items()}

    def of(self, endpoint: Endpoint) -> tuple[Process, ...]:
        """The processes of an endpoint, by rank."""
        return self._by_worker[endpoint.mode, endpoint.index]

    def leaders(self, mode: Mode) -> tuple[Process, ...]:
        """The first process of every endpoint of a mode."""
        return tuple(p for p in self.processes if p.mode == mode and p.leader)
