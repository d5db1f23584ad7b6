"""Names and paths as a simulated program sees them: host names, addresses to bind, container paths.

In: words of an argv (``0.0.0.0``, ``node3``, ``/logs/x``). Out: addresses and paths of this machine.
"""

import os
from pathlib import Path

from srtplan.rehearsal.slurm.state import Node, State

ANY = "0.0.0.0"  # noqa: S104 (Naming.bind makes it the node's own address)
EVERYWHERE = {"0.0.0.0", "::", "[::]", "*", ""}  # noqa: S104 (recognised, not bound)
LOCAL = {"localhost", "127.0.0.1", "::1"}


class Naming:
    """What names mean on one simulated node."""

    def __init__(self, state: State, environment: dict[str, str]) -> None:
        self.nodes = {node.name: node for node in state.nodes()}
        own = environment.get("SRT_NODE_ADDRESS", "")
        self.own: Node = next(
            (n for n in self.nodes.values() if n.address == own), next(iter(self.nodes.values()))
        )
        self.mounts = mounts(environment.get("SRT_REHEARSAL_MOUNTS", ""))

    def bind(self, host: str) -> str:
        """Return the address to listen on. Raises OSError for an address of another node."""
        if host in EVERYWHERE:
            return self.own.address
        if host in LOCAL:
            return self.own.loopback
        address = self.nodes[host].address if host in self.nodes else host
        if address not in {self.own.address, self.own.loopback}:
            raise OSError(
                99,
                f"[Errno 99] error while attempting to bind on address {host}: cannot assign requested address",
            )
        return address

    def reach(self, host: str) -> list[str]:
        """Return the addresses to try when connecting. Raises OSError for a name that no node has."""
        if host in LOCAL | EVERYWHERE:
            return [self.own.loopback, self.own.address]
        if host in self.nodes:
            return [self.nodes[host].address]
        if host.replace(".", "").isdigit():
            return [host]
        raise OSError(-2, f"[Errno -2] Name or service not known: {host}")

    def path(self, text: str) -> Path:
        """Return this machine's path of a path inside the step's container."""
        for target, source in self.mounts:
            if text == target or text.startswith(target.rstrip("/") + "/"):
                return Path(source) / text[len(target) :].lstrip("/")
        return Path(text)


def mounts(text: str) -> list[tuple[str, str]]:
    """Return (target, source) of a --container-mounts value, longest target first."""
    pairs = []
    for mount in filter(None, text.split(",")):
        source, _, rest = mount.partition(":")
        pairs.append((rest.partition(":")[0] or source, source))
    return sorted(pairs, key=lambda pair: -len(pair[0]))


def naming(state: State) -> Naming:
    """Return the naming of the step that this process runs in."""
    return Naming(state, dict(os.environ))
