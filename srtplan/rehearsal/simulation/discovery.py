"""Dynamo's service discovery: connections to etcd and NATS, and the instances that workers register.

In: ETCD_ENDPOINTS, NATS_SERVER. Out: a connection to each, whose loss ends the program. Instances are files of the
rehearsal's state, in a folder per etcd; one counts for as long as the process that wrote it runs. What goes over the
wire to the real etcd is not simulated.
"""

import json
import os
import time

from srtplan.rehearsal import processes
from srtplan.rehearsal.simulation.http import Json, connect, split, watch
from srtplan.rehearsal.simulation.program import Program
from srtplan.rehearsal.slurm.state import read, write

CONNECT_S = 10.0
RETRY_S = 0.25
Instance = dict[str, Json]


class Discovery:
    """A worker's or frontend's connection to etcd, and to NATS where that is used."""

    def __init__(self, program: Program) -> None:
        """Connect as the environment says; end with 1 if that fails."""
        self.program = program
        nats = program.environment.get("NATS_SERVER", "")
        if nats or program.environment.get("DYN_REQUEST_PLANE") == "nats":
            self._hold("NATS", nats or "nats://localhost:4222", 4222)
        url = program.environment.get("ETCD_ENDPOINTS", "http://localhost:2379").split(",")[0]
        self.folder = program.state.folder / "instances" / self._hold("etcd", url, 2379)
        self.folder.mkdir(parents=True, exist_ok=True)

    def register(self, instances: list[Instance]) -> None:
        """Announce instances, or none any more, for as long as this process lives."""
        lines = [processes.identity(os.getpid()), *map(json.dumps, instances)]
        write(self.folder / str(os.getpid()), "\n".join(lines))

    def instances(self) -> list[Instance]:
        """Return the instances of all processes that run."""
        found: list[Instance] = []
        for path in sorted(self.folder.glob("[0-9]*")):
            identity, *lines = read(path).splitlines()
            found += map(json.loads, lines if processes.is_alive(identity) else [])
        return found

    def _hold(self, what: str, url: str, port: int) -> str:
        """Connect and stay connected; return the address and port as a name."""
        place = split(url, port)[:2]
        end = time.monotonic() + float(self.program.environment.get("SRT_REHEARSAL_CONNECT", CONNECT_S))
        while True:
            try:
                peer = connect(self.program, *place)
                break
            except OSError as error:
                if time.monotonic() >= end:
                    text = f"ConnectionError: unable to connect to {what} at {url}: {error}"
                    self.program.exit_with(1, text)
                self.program.pause(RETRY_S)
        watch(self.program, peer, f"ERROR lease lost: {what} is gone, shutting down the runtime")
        return "_".join(map(str, peer.getpeername()))
