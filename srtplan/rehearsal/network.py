"""Loopback addresses for the nodes of one rehearsal.

Each rehearsal takes a block 127.B.0.0/16 that no other one on this machine uses: node N is 127.B.0.(N+1), and
127.B.128.(N+1) stands for that node's own 127.0.0.1. A listening socket in the block is the lock; the kernel
releases it when the last process that holds it ends, whatever happens.
"""

import socket
from dataclasses import dataclass
from pathlib import Path

LOCK_PORT = 47990
BLOCKS = range(1, 255)
PER_LINE = 250


@dataclass(frozen=True)
class Block:
    """A block of addresses and the socket that reserves it."""

    number: int
    lock: socket.socket

    def address(self, node: int) -> str:
        """Return the address of a node, counted from 0."""
        return f"127.{self.number}.{node // PER_LINE}.{node % PER_LINE + 1}"

    def loopback(self, node: int) -> str:
        """Return the address that stands for a node's own 127.0.0.1."""
        return f"127.{self.number}.{128 + node // PER_LINE}.{node % PER_LINE + 1}"


def reserve() -> Block:
    """Reserve the first free block. Raises OSError if all are taken."""
    for number in BLOCKS:
        lock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            lock.bind((f"127.{number}.255.254", LOCK_PORT))
            lock.listen(1)
        except OSError:
            lock.close()
            continue
        lock.set_inheritable(True)
        return Block(number, lock)
    raise OSError(f"no free block of loopback addresses: {len(BLOCKS)} rehearsals run on this machine")


def listeners(block: int) -> list[tuple[str, int]]:
    """Return the addresses and ports of a block on which something listens, the lock left out."""
    found = []
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        raw, _, port = fields[1].partition(":")
        octets = bytes.fromhex(raw)[::-1]
        is_ours = octets[0] == 127 and octets[1] == block  # noqa: PLR2004 (127.B.x.y)
        if fields[3] == "0A" and is_ours and int(port, 16) != LOCK_PORT:
            found.append((".".join(map(str, octets)), int(port, 16)))
    return sorted(found)
