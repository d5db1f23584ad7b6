"""Simulated ``nats-server [-n NAME] [-a HOST] [-p PORT]``: it greets with its name and answers PING."""

import json

from srtplan.rehearsal.simulation.flags import Flags
from srtplan.rehearsal.simulation.http import Connection, listen
from srtplan.rehearsal.simulation.naming import ANY
from srtplan.rehearsal.simulation.program import Program


def main(program: Program, flags: Flags) -> int:
    """Be a NATS server."""
    name = flags.text("n", "name", "server_name", default="SIM")
    info = {
        "server_id": "SIM",
        "server_name": name,
        "version": "2.10.28",
        "jetstream": True,
        "max_payload": 1048576,
    }

    def connected(client: Connection) -> None:
        client.wfile.write(b"INFO " + json.dumps(info, separators=(",", ":")).encode() + b"\r\n")
        for line in client.rfile:
            if line.startswith(b"PING"):
                client.wfile.write(b"PONG\r\n")

    program.load(["Starting nats-server (simulated)"])
    host, port = flags.text("a", "addr", "net", default=ANY), flags.number("p", "port", default=4222)
    listen(program, host, port, connected)
    program.say(f"Listening for client connections on {host}:{port}")
    program.say("Server is ready")
    program.serve()
