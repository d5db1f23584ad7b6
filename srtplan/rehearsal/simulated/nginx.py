"""Simulated nginx: ``nginx -c FILE``, as far as a load balancer in front of frontends needs it.

In: a configuration with ``upstream NAME { server HOST:PORT; ... }`` and ``listen [HOST:]PORT``. Out: a TCP proxy that
gives each connection to the next server, or to the one after it if that refuses.
"""

import asyncio
import re
from itertools import count

from srtplan.rehearsal.simulated import webclient
from srtplan.rehearsal.simulated.flags import Flags
from srtplan.rehearsal.simulated.program import Program

BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
BLOCK = 65536


def servers(text: str) -> list[tuple[str, int]]:
    """Return the servers of the first upstream of a configuration."""
    upstream = re.search(r"upstream\s+\S+\s*\{(.*?)\}", _plain(text), re.DOTALL)
    found = re.findall(r"\bserver\s+([^\s;]+)", upstream.group(1)) if upstream else []
    return [webclient.split(place)[:2] for place in found]


def listens(text: str) -> list[tuple[str, int]]:
    """Return where a configuration listens."""
    places = re.findall(r"\blisten\s+([^\s;]+)", _plain(text))
    return [(place.rpartition(":")[0], int(place.rpartition(":")[2])) for place in places]


def _plain(text: str) -> str:
    return re.sub(r"#.*", "", text)


async def serve_nginx(program: Program, flags: Flags) -> int:
    """Be nginx; ``-t`` only checks the configuration."""
    path = flags.text("c", default="/etc/nginx/nginx.conf")
    try:
        text = program.naming.path(path).read_text(encoding="utf-8")
    except OSError as error:
        program.exit_with(1, f'nginx: [emerg] open() "{path}" failed ({error.errno}: {error.strerror})')
    behind, places = servers(text), listens(text)
    if not behind or not places:
        program.exit_with(1, f"nginx: [emerg] no upstream servers or no listen in {path}")
    if flags.has("t"):
        program.exit_with(0, f"nginx: configuration file {path} test is successful")
    turn = count()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not program.is_ready or program.is_stalled:
            writer.write(BAD_GATEWAY)
            writer.close()
            return
        await _proxy(program, behind, next(turn), reader, writer)

    await program.load(["nginx (simulated)"])
    for host, port in places:
        program.servers.append(
            await asyncio.start_server(connected, program.naming.bind(host), port, backlog=4096)
        )
        program.say(
            f"listening on {host or '*'}:{port}, upstream: {', '.join(f'{h}:{p}' for h, p in behind)}"
        )
    await program.stopped()
    await program.finish()


async def _proxy(
    program: Program,
    behind: list[tuple[str, int]],
    turn: int,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    for offset in range(len(behind)):
        try:
            upstream = await webclient.connect(program.naming, *behind[(turn + offset) % len(behind)])
        except OSError as error:
            program.say(f"[error] connect() to upstream failed: {error}")
            continue
        await asyncio.gather(_pump(reader, upstream[1]), _pump(upstream[0], writer))
        return
    writer.write(BAD_GATEWAY)
    writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while block := await reader.read(BLOCK):
            writer.write(block)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
