"""The start of a worker that spans several nodes: rank 0 listens, the others connect, all go on together.

In: the options by which SGLang's or vLLM's processes find each other. Out: the rank of this process, once all are there.
If a rank is lost later, the others end with 1, as they do when a collective operation loses a peer.
"""

import threading
from typing import NoReturn

from srtplan.rehearsal.simulation.flags import Flags
from srtplan.rehearsal.simulation.http import Connection, connect, listen, split, watch
from srtplan.rehearsal.simulation.program import LOAD_S, Program

RETRY_S, POLL_S = 0.2, 0.05
LOST = "RuntimeError: [torch.distributed] connection closed by peer: another rank of this worker has ended"


def join(program: Program, flags: Flags) -> int:
    """Meet the other processes of a worker and return this one's rank; a data-parallel process that serves is a 0."""
    if flags.has("data-parallel-address"):
        local = flags.number("data-parallel-size-local", default=1)
        first = flags.number("data-parallel-rank", "data-parallel-start-rank", default=0)
        place = flags.text("data-parallel-address"), flags.number("data-parallel-rpc-port", default=13345)
        rank, count = first // local, flags.number("data-parallel-size", default=1) // local
        _meet(program, place, rank, count)
        return rank if flags.has("headless") else 0
    rank, count = flags.number("node-rank", default=0), flags.number("nnodes", default=1)
    master = f"{flags.text('master-addr', default='127.0.0.1')}:{flags.text('master-port', default='29500')}"
    _meet(program, split(flags.text("dist-init-addr", "nccl-init-addr", default=master))[:2], rank, count)
    return rank


def stay(program: Program, rank: int) -> NoReturn:
    """Be a rank that serves nothing: load, wait for TERM."""
    program.load([f"rank {rank}: Load weight begin.", f"rank {rank}: Load weight end."], LOAD_S)
    program.say(f"rank {rank}: ready, rank 0 serves")
    program.serve()


def _meet(program: Program, place: tuple[str, int], rank: int, count: int) -> None:
    """Return when all ranks have met at ``place``. Raises OSError if rank 0 cannot listen there."""
    if count > 1 and rank == 0:
        _lead(program, place, count)
    elif count > 1:
        _follow(program, place, rank)


def _lead(program: Program, place: tuple[str, int], count: int) -> None:
    joined: dict[bytes, Connection] = {}

    def connected(peer: Connection) -> None:
        line = peer.rfile.readline().strip()
        if line.startswith(b"rank "):
            joined[line] = peer
            program.say(f"{line.decode()} of {count} has joined at {place[0]}:{place[1]}")
            peer.rfile.read()
            program.lose(LOST)

    listen(program, *place, connected)
    program.say(f"waiting for {count - 1} other ranks at {place[0]}:{place[1]}")
    while len(joined) < count - 1:
        program.pause(POLL_S)
    for peer in joined.values():
        peer.wfile.write(b"go\n")


def _follow(program: Program, place: tuple[str, int], rank: int) -> None:
    is_together = threading.Event()

    def wait() -> None:
        peer.settimeout(None)
        if peer.recv(len(b"go\n")):
            is_together.set()
        watch(program, peer, LOST)

    while True:
        try:
            peer = connect(program, *place)
            break
        except OSError:
            program.pause(RETRY_S)
    peer.sendall(f"rank {rank}\n".encode())
    threading.Thread(target=wait, daemon=True).start()
    while not is_together.is_set():
        program.pause(POLL_S)
