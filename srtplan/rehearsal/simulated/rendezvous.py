"""The start of a server that spans several nodes: rank 0 listens, the others connect, all go on together.

In: address, port, rank, number of ranks. Out: nothing, once all ranks are there. If a rank is lost later, the
others end with 1, as they do when a collective operation loses a peer.
"""

import asyncio

from srtplan.rehearsal.simulated import webclient
from srtplan.rehearsal.simulated.program import Program

RETRY_S = 0.2
GRACE_S = 2.0
"""When a peer has gone: how long to wait for a TERM of our own, since all ranks of a worker get theirs together."""


async def meet(program: Program, place: tuple[str, int], rank: int, count: int) -> None:
    """Return when all ranks have met at ``place``. Raises OSError if rank 0 cannot listen there."""
    if count <= 1:
        return
    if rank == 0:
        await _lead(program, place, count)
    else:
        await _follow(program, place, rank)


async def _lead(program: Program, place: tuple[str, int], count: int) -> None:
    ranks: dict[int, asyncio.StreamWriter] = {}
    is_complete = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        if not line.startswith(b"rank "):
            writer.close()
            return
        ranks[int(line.split()[1])] = writer
        program.say(f"rank {int(line.split()[1])} of {count} has joined at {place[0]}:{place[1]}")
        if len(ranks) == count - 1:
            is_complete.set()
        await reader.read()
        await _lost(program)

    program.servers.append(await asyncio.start_server(connected, program.naming.bind(place[0]), place[1]))
    program.say(f"waiting for {count - 1} other ranks at {place[0]}:{place[1]}")
    await is_complete.wait()
    for writer in ranks.values():
        writer.write(b"go\n")


async def _follow(program: Program, place: tuple[str, int], rank: int) -> None:
    while True:
        try:
            reader, writer = await webclient.connect(program.naming, *place)
            break
        except OSError:
            if program.is_stopping:
                await program.finish()
            await asyncio.sleep(RETRY_S)
    program.connections.append(writer)
    writer.write(f"rank {rank}\n".encode())
    if not await reader.readline():
        await _lost(program)
    watch = asyncio.ensure_future(_watch(program, reader))
    program.background.add(watch)


async def _watch(program: Program, reader: asyncio.StreamReader) -> None:
    await reader.read()
    await _lost(program)


async def _lost(program: Program) -> None:
    """End with 1 unless this process has been asked to end as well."""
    await asyncio.sleep(GRACE_S)
    if not program.is_stopping:
        program.exit_with(
            1,
            "RuntimeError: [torch.distributed] connection closed by peer: another rank of this worker has ended",
        )
