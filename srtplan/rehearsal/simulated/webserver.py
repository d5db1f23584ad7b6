"""A small HTTP/1.1 server on asyncio: enough for engines, routers and frontends.

In: an address and a handler ``Request -> Response``. Out: a listening server. A response is a JSON value, bytes,
or an async iterator of chunks (server-sent events).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"


@dataclass(frozen=True)
class Request:
    """One HTTP request; ``path`` is without the query."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Json]:
        """Return the body as a JSON object, empty if it is none."""
        try:
            value = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class Response:
    """One HTTP response: a JSON value, text, or a stream of chunks."""

    value: Json = None
    status: int = 200
    text: str | None = None
    stream: AsyncIterator[bytes] | None = None
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Awaitable[Response]]


async def serve(host: str, port: int, handler: Handler) -> asyncio.Server:
    """Listen. Raises OSError with a text like uvicorn's if the address is taken."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await _one(reader, writer, handler):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return  # the client has gone
        finally:
            writer.close()

    return await asyncio.start_server(connected, host, port, limit=1 << 20, backlog=4096)


async def read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]] | None:
    """Return the first line and the headers of a message, None at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return first, {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler) -> bool:
    """Answer one request; False if the connection ends."""
    head = await read_head(reader)
    if head is None:
        return False
    first, headers = head
    method, target, *_ = [*first.split(" "), "", ""]
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    response = await handler(Request(method, target.partition("?")[0], headers, body))
    is_kept = headers.get("connection", "").lower() != "close"
    await _write(writer, response, is_kept=is_kept)
    return is_kept


async def _write(writer: asyncio.StreamWriter, response: Response, *, is_kept: bool) -> None:
    headers = {"connection": "keep-alive" if is_kept else "close"} | response.headers
    if response.stream is not None:
        headers |= {"content-type": "text/event-stream", "transfer-encoding": "chunked"}
        writer.write(_head(response.status, headers))
        async for chunk in response.stream:
            writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
    else:
        is_text = response.text is not None
        body = (
            (response.text or "").encode()
            if is_text
            else json.dumps(response.value, separators=(",", ":")).encode()
        )
        headers |= {
            "content-type": "text/plain" if is_text else "application/json",
            "content-length": str(len(body)),
        }
        writer.write(_head(response.status, headers) + body)
    await writer.drain()


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = [
        f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}",
        *(f"{k}: {v}" for k, v in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
