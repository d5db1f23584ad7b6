"""The placement of a job: endpoints (logical workers), their processes, and the roles of the nodes.

Nodes are indices into the allocation, GPUs are indices on a node. An endpoint that spans nodes has the same GPU
indices on each of them.
"""

from __future__ import annotations

from attrs import field, frozen

from srtplan.ir.data import Noun
from srtplan.ir.recipe import Mode


@frozen(kw_only=True, eq=False, repr=False)
class Endpoint(Noun):
    """A worker as the router sees it: one model replica, on one node or several whole nodes."""

    mode: Mode
    index: int
    nodes: tuple[int, ...]
    gpus: tuple[int, ...]

    @property
    def name(self) -> str:
        """The name of the worker, such as ``prefill_0``."""
        return f"{self.mode}_{self.index}"


@frozen(kw_only=True, eq=False, repr=False)
class Process(Noun):
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
        """Return a port of this process. Raises KeyError if it has none of that kind."""
        for name, port in self.ports:
            if name == kind:
                return port
        raise KeyError(kind)


@frozen(kw_only=True, eq=False, repr=False)
class Nodes(Noun):
    """Roles of the allocated nodes; ``workers`` are the nodes of the endpoints.

    ``components`` are the sizes of the components of a heterogeneous job, in the order of the nodes; empty for other jobs.
    """

    total: int
    infra: int
    head: int
    bench: int
    workers: tuple[int, ...]
    components: tuple[int, ...] = ()

    def component(self, node: int) -> int:
        """Return the index of the component of a node; 0 if the job is not heterogeneous."""
        end = 0
        for number, size in enumerate(self.components):
            end += size
            if node < end:
                return number
        return 0


@frozen(kw_only=True, eq=False, repr=False)
class Topology(Noun):
    """The placement of one job."""

    nodes: Nodes
    endpoints: tuple[Endpoint, ...]
    processes: tuple[Process, ...]
    _by_worker: dict[tuple[Mode, int], tuple[Process, ...]] = field(init=False, eq=False, repr=False)

    @_by_worker.default
    def _group(self) -> dict[tuple[Mode, int], tuple[Process, ...]]:
        """Index the processes by worker: a job has thousands, so they are not searched."""
        groups: dict[tuple[Mode, int], list[Process]] = {}
        for p in self.processes:
            groups.setdefault((p.mode, p.endpoint), []).append(p)
        return {worker: tuple(own) for worker, own in groups.items()}

    def of(self, endpoint: Endpoint) -> tuple[Process, ...]:
        """Return the processes of an endpoint, by rank."""
        return self._by_worker[endpoint.mode, endpoint.index]

    def leaders(self, mode: Mode) -> tuple[Process, ...]:
        """Return the first process of every endpoint of a mode."""
        return tuple(p for p in self.processes if p.mode == mode and p.leader)
