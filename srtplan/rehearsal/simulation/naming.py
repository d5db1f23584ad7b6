"""Names and paths as a simulated program sees them: host names, addresses to bind, container paths.

In: words of an argv (``0.0.0.0``, ``node3``, ``/logs/x``). Out: addresses and paths of this machine.
"""

from collections.abc import Mapping
from pathlib import Path

from srtplan.rehearsal.slurm.state import State

ANY = "0.0.0.0"  # noqa: S104 (Naming.bind makes it the node's own address)
EVERYWHERE = {"0.0.0.0", "::", "[::]", "*", ""}  # noqa: S104 (recognised, not bound)
LOCAL = {"localhost", "127.0.0.1", "::1"}


class Naming:
    """What names mean on one simulated node."""

    def __init__(self, state: State, environment: Mapping[str, str]) -> None:
        nodes = state.nodes()
        own = environment.get("SRT_NODE_ADDRESS", "")
        self.own = next((node for node in nodes if node.address == own), nodes[0])
        self.index = nodes.index(self.own)
        self.addresses = {node.name: node.address for node in nodes}
        self.mounts = mounts(environment.get("SRT_REHEARSAL_MOUNTS", ""))

    def bind(self, host: str) -> str:
        """Return the address to listen on. Raises OSError for an address of another node."""
        if host in EVERYWHERE:
            return self.own.address
        if host in LOCAL:
            return self.own.loopback
        address = self.addresses.get(host, host)
        if address not in {self.own.address, self.own.loopback}:
            raise OSError(99, "cannot assign requested address")
        return address

    def reach(self, host: str) -> list[str]:
        """Return the addresses to try when connecting. Raises OSError for a name that no node has."""
        if host in LOCAL | EVERYWHERE:  # servers on 0.0.0.0 are not on the node's loopback here
            return [self.own.loopback, self.own.address]
        if host not in self.addresses and not host.replace(".", "").isdigit():
            raise OSError(-2, f"Name or service not known: {host}")
        return [self.addresses.get(host, host)]

    def path(self, text: str) -> Path:
        """Return this machine's path of a path inside the step's container."""
        for target, source in self.mounts:
            if text == target or text.startswith(target.rstrip("/") + "/"):
                return Path(source) / text[len(target) :].lstrip("/")
        return Path(text)


def mounts(text: str) -> list[tuple[str, str]]:
    """Return (target, source) of a --container-mounts value, longest target first."""
    entries = (entry.split(":") for entry in text.split(",") if entry)
    pairs = [((rest or [source])[0] or source, source) for source, *rest in entries]
    return sorted(pairs, key=lambda pair: -len(pair[0]))
