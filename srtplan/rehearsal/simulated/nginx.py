"""Simulated nginx: ``nginx -c FILE``, as far as a load balancer in front of frontends needs it.

In: a configuration with ``upstream NAME { server HOST:PORT; ... }`` and ``listen [HOST:]PORT``. Out: a TCP proxy that
gives each connection to the next server, or to the one after it if that refuses.
"""

import contextlib
import re
import socket
import threading
from itertools import count

from srtplan.rehearsal.simulation.flags import Flags
from srtplan.rehearsal.simulation.http import BLOCK, Connection, connect, listen, split
from srtplan.rehearsal.simulation.program import Program

BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def main(program: Program, flags: Flags) -> int:
    """Be nginx; ``-t`` only checks the configuration."""
    path = flags.text("c", default="/etc/nginx/nginx.conf")
    text = re.sub(r"#.*", "", program.require(path))
    upstreams = re.findall(r"upstream\s+\S+\s*\{(.*?)\}", text, re.DOTALL)
    behind = re.findall(r"\bserver\s+([^\s;]+)", upstreams[0]) if upstreams else []
    places = re.findall(r"\blisten\s+([^\s;]+)", text)
    if not behind or not places:
        program.exit_with(1, f"nginx: [emerg] no upstream servers or no listen in {path}")
    if flags.has("t"):
        program.exit_with(0, f"nginx: configuration file {path} test is successful")
    turn = count()

    def connected(client: Connection) -> None:
        upstream = None
        if program.is_ready and not program.is_stalled:
            upstream = _upstream(program, behind, next(turn))
        if upstream is None:
            client.wfile.write(BAD_GATEWAY)
            return
        threading.Thread(target=_pump, args=[client.connection, upstream], daemon=True).start()
        _pump(upstream, client.connection)

    program.load(["nginx (simulated)"])
    for place in places:
        host, _, port = place.rpartition(":")
        listen(program, host, int(port), connected)
        program.say(f"listening on {host or '*'}:{port}, upstream: {', '.join(behind)}")
    program.serve()


def _upstream(program: Program, behind: list[str], turn: int) -> socket.socket | None:
    """Return a connection to the server whose turn it is, or to the next that does not refuse."""
    for offset in range(len(behind)):
        host, port, _ = split(behind[(turn + offset) % len(behind)])
        with contextlib.suppress(OSError):
            peer = connect(program, host, port)
            peer.settimeout(None)
            return peer
        program.say(f"[error] connect() to upstream {host}:{port} failed")
    return None


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Copy one direction of a connection to its end."""
    with contextlib.suppress(OSError):
        while block := source.recv(BLOCK):
            target.sendall(block)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
