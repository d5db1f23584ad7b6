"""Servers and clients of the simulated programs: TCP, and HTTP/1.1 on it, with the standard library.

In: hosts and ports as command lines name them (``Naming``). Out: listening servers, whose every connection has a thread;
answers of other servers. A response is a JSON value, text, or an iterator of chunks (server-sent events).
"""

import contextlib
import http.client
import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any, TypeAlias

from srtplan.rehearsal.simulation.program import Program

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
Connection: TypeAlias = socketserver.StreamRequestHandler
FAILURES = (OSError, http.client.HTTPException)
"""What sending a request, or reading its answer, raises."""
OK, NOT_FOUND, UNAVAILABLE = 200, 404, 503
TIMEOUT_S, FETCH_S = 60.0, 5.0
BLOCK = 65536
TRANSPORT = "x-simulated-transport"


@dataclass(frozen=True)
class Request:
    """One HTTP request; ``path`` is without the query, names of headers are in small letters."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Json]:
        """Return the body as a JSON object, empty if it is not one."""
        value = decode(self.body)
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class Response:
    """One HTTP response: a JSON value, text, or a stream of chunks."""

    value: Json = None
    status: int = OK
    text: str | None = None
    stream: Iterator[bytes] | None = None


def health(*, is_well: bool, text: str = "") -> Response:
    """Return the answer to a health check."""
    return Response(text=text if is_well else "unhealthy", status=OK if is_well else UNAVAILABLE)


def unavailable(message: str) -> Response:
    """Return the response of a server that lacks another one."""
    body: Json = {"error": {"message": message, "type": "service_unavailable", "code": UNAVAILABLE}}
    return Response(body, UNAVAILABLE)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 4096

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: the client has gone."""


def _listen(program: Program, host: str, port: int, handler: type[Connection]) -> int:
    """Listen and return the port. Raises OSError with a text like uvicorn's if the address cannot be had."""
    try:
        server = _Server((program.naming.bind(host), port), handler)
    except OSError as error:
        why = (error.strerror or "").lower()
        raise OSError(
            error.errno, f"error while attempting to bind on address ({host!r}, {port}): {why}"
        ) from error
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])


def listen(
    program: Program, host: str, port: int, connected: Callable[[Connection], object] | None = None
) -> int:
    """Listen for TCP connections, each served by ``connected``; by default they are only held open."""

    class Handler(Connection):
        def handle(self) -> None:
            if connected is None:
                self.rfile.read()
            else:
                connected(self)

    return _listen(program, host, port, Handler)


def serve(program: Program, host: str, port: int, answer: Callable[[Request], Response]) -> int:
    """Listen for HTTP requests, each answered by ``answer``; from a hang that is a fault on, by nothing."""

    class Handler(_Http):
        def answer(self, request: Request) -> Response:
            if program.is_stalled:
                threading.Event().wait()
            return answer(request)

    return _listen(program, host, port, Handler)


class _Http(BaseHTTPRequestHandler):
    """One HTTP connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self, request: Request) -> Response:
        """Return the response to a request."""
        raise NotImplementedError

    def do_GET(self) -> None:
        """Answer one request of any method."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", "0")))
        response = self.answer(Request(self.command, self.path.partition("?")[0], headers, body))
        self.send_response_only(response.status)
        if response.stream is not None:
            self._head("text/event-stream", "transfer-encoding", "chunked")
            for chunk in response.stream:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")
            return
        kind, text = "text/plain", response.text
        if text is None:
            kind, text = "application/json", json.dumps(response.value, separators=(",", ":"))
        self._head(kind, "content-length", str(len(text.encode())))
        self.wfile.write(text.encode())

    do_POST = do_PUT = do_GET  # noqa: N815

    def _head(self, kind: str, name: str, value: str) -> None:
        self.send_header("content-type", kind)
        self.send_header(name, value)
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Say nothing: a line per request would bury the rest."""


def split(url: str, port: int = 80) -> tuple[str, int, str]:
    """Return host, port and path of a URL, of ``HOST:PORT`` too."""
    rest = url.partition("://")[2] or url
    place, _, path = rest.partition("/")
    host, has_port, number = place.rpartition(":")
    return (host, int(number), f"/{path}") if has_port else (place, port, f"/{path}")


def connect(program: Program, host: str, port: int, timeout: float = TIMEOUT_S) -> socket.socket:
    """Connect to a host by its simulated name. Raises OSError."""
    *others, last = program.naming.reach(host)
    for address in others:
        with contextlib.suppress(OSError):
            return socket.create_connection((address, port), timeout)
    return socket.create_connection((last, port), timeout)


def send(
    program: Program, url: str, value: Json = None, timeout: float = TIMEOUT_S
) -> http.client.HTTPResponse:
    """Send a GET, or a POST of a JSON value, and return the answer, its body still to be read. Raises FAILURES.

    gRPC, where a URL says so, is HTTP with a header here.
    """
    host, port, path = split(url)
    connection = http.client.HTTPConnection(host, port)
    connection.sock = connect(program, host, port, timeout)
    body = None if value is None else json.dumps(value)
    headers = {"connection": "close", "content-type": "application/json"}
    if url.startswith("grpc://"):
        headers[TRANSPORT] = "grpc"
    connection.request("GET" if body is None else "POST", path, body, headers)
    return connection.getresponse()


def fetch(program: Program, url: str, value: Json = None) -> tuple[int, Any]:
    """Return status and JSON of an answer; status 0 if there was none in time."""
    try:
        answer = send(program, url, value, FETCH_S)
        return answer.status, decode(answer.read())
    except FAILURES:
        return 0, None


def pass_on(
    program: Program, request: Request, worker: str, first: str = "", **more: Json
) -> Response:  # fmt: skip
    """Return a worker's answer, a stream as it comes; 503 if it does not answer.

    ``first`` is the prefill worker that is asked before it, for one token; ``more`` is added to the request's body.
    """
    url, body = worker + request.path, request.json() | more
    if first:
        fetch(program, first + request.path, body | {"max_tokens": 1, "stream": False})
    try:
        answer = send(program, url, body)
        if "event-stream" in answer.headers.get("content-type", ""):
            return Response(stream=iter(lambda: answer.read1(BLOCK), b""), status=answer.status)
        text = answer.read()
    except FAILURES as error:
        return unavailable(f"{url}: {error}")
    found = decode(text)
    return Response(found, answer.status, None if found is not None else text.decode(errors="replace"))


def decode(body: bytes) -> Any:  # noqa: ANN401 (JSON)
    """Return the JSON of a body, None if it is not JSON."""
    try:
        return json.loads(body or b"null")
    except ValueError:
        return None


def first_model(program: Program, base: str) -> str:
    """Return the first model that a server lists, empty if it lists none."""
    data = (fetch(program, f"{base}/v1/models")[1] or {}).get("data")
    return str(data[0]["id"]) if data else ""


def watch(program: Program, peer: socket.socket, message: str) -> None:
    """Hold a connection for as long as the program lives; end with 1 when the other side has gone."""
    peer.settimeout(None)

    def read() -> None:
        with contextlib.suppress(OSError):
            while peer.recv(BLOCK):
                pass
        program.lose(message)

    threading.Thread(target=read, daemon=True).start()
