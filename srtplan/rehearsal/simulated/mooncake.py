"""Simulated ``mooncake_master``: listens on its RPC, HTTP metadata and metrics ports."""

from srtplan.rehearsal.simulated import webserver
from srtplan.rehearsal.simulated.engine import open_port
from srtplan.rehearsal.simulated.flags import Flags
from srtplan.rehearsal.simulated.naming import ANY
from srtplan.rehearsal.simulated.program import Program
from srtplan.rehearsal.simulated.webserver import Request, Response


async def serve_mooncake(program: Program, flags: Flags) -> int:
    """Be the master of a Mooncake store."""

    async def handle(request: Request) -> Response:
        return Response(text="OK" if request.path == "/health" else "")

    await program.load(["mooncake_master (simulated)"])
    await open_port(program, ANY, flags.number("rpc-port", "port", default=50051))
    for name, default in (("http-metadata-server-port", 8080), ("metrics-port", 9003)):
        if flags.has(name) or name == "metrics-port":
            server = await webserver.serve(
                program.naming.bind(ANY), flags.number(name, default=default), handle
            )
            program.servers.append(server)
    program.say("Master service started")
    await program.stopped()
    await program.finish()
