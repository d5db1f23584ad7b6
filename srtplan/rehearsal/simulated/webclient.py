"""A small HTTP/1.1 client on asyncio: one request per connection, bodies streamed.

In: a URL that may name simulated nodes. Out: status, and the body as chunks or whole.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from srtplan.rehearsal.simulated.naming import Naming
from srtplan.rehearsal.simulated.webserver import Json, read_head

LIMIT = 1 << 20


@dataclass(frozen=True)
class Answer:
    """Status and headers of an answer whose body is still to be read."""

    status: int
    headers: dict[str, str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes and close the connection."""
        try:
            if self.headers.get("transfer-encoding") == "chunked":
                while size := int((await self.reader.readline()).strip() or b"0", 16):
                    yield await self.reader.readexactly(size)
                    await self.reader.readline()
            elif "content-length" in self.headers:
                yield await self.reader.readexactly(int(self.headers["content-length"]))
            else:
                while block := await self.reader.read(65536):
                    yield block
        finally:
            self.writer.close()

    async def body(self) -> bytes:
        """Return the whole body."""
        return b"".join([chunk async for chunk in self.chunks()])


def split(url: str, port: int = 80) -> tuple[str, int, str]:
    """Return host, port and path of a URL, of ``HOST:PORT`` too."""
    rest = url.partition("://")[2] or url
    place, _, path = rest.partition("/")
    host, has_port, number = place.rpartition(":")
    return (host, int(number), f"/{path}") if has_port else (place, port, f"/{path}")


async def connect(naming: Naming, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a host by its simulated name. Raises OSError."""
    first, *others = naming.reach(host)
    for address in others:  # a node's own loopback comes first, and servers on 0.0.0.0 are not there
        with contextlib.suppress(OSError):
            return await asyncio.open_connection(first, port, limit=LIMIT)
        first = address
    return await asyncio.open_connection(first, port, limit=LIMIT)


async def send(naming: Naming, url: str, value: Json = None, headers: dict[str, str] | None = None) -> Answer:
    """Send a GET, or a POST of a JSON value, and return the answer's head. Raises OSError."""
    host, port, path = split(url)
    reader, writer = await connect(naming, host, port)
    body = b"" if value is None else json.dumps(value).encode()
    lines = [
        f"{'GET' if value is None else 'POST'} {path} HTTP/1.1",
        f"host: {host}:{port}",
        "connection: close",
    ]
    lines += [
        f"content-length: {len(body)}",
        "content-type: application/json",
        *(f"{k}: {v}" for k, v in (headers or {}).items()),
    ]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)
    await writer.drain()
    head = await read_head(reader)
    if head is None:
        writer.close()
        raise ConnectionResetError(104, f"{url}: connection closed without an answer")
    return Answer(int(head[0].split(" ")[1]), head[1], reader, writer)


async def fetch(naming: Naming, url: str, value: Json = None, *, timeout_s: float = 5.0) -> tuple[int, Json]:
    """Return status and JSON of an answer; status 0 if there was none in time."""
    try:
        answer = await asyncio.wait_for(send(naming, url, value), timeout_s)
        body = await asyncio.wait_for(answer.body(), timeout_s)
    except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
        return 0, None
    return answer.status, decode(body)


def decode(body: bytes) -> Json:
    """Return the JSON of a body, None if it is none."""
    try:
        value: Json = json.loads(body or b"null")
    except ValueError:
        return None
    return value


async def first_model(naming: Naming, base: str) -> str:
    """Return the first model that a server lists, empty if it lists none."""
    _, value = await fetch(naming, f"{base}/v1/models")
    data = value.get("data") if isinstance(value, dict) else None
    first = data[0] if isinstance(data, list) and data else None
    return str(first["id"]) if isinstance(first, dict) else ""
