"""Dynamo's service discovery: a simulated etcd, and the connection of workers and frontends to it.

The protocol is ours, one line each way: a worker sends ``REG {json}`` and keeps the connection, ``BYE`` when it
ends in order; a frontend sends ``WATCH`` and gets the list of instances at each change. A connection that breaks
is a lease that runs out: its instances vanish after LEASE_S. HTTP requests (``/health``, ``/version``) work too.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

from srtplan.rehearsal.simulated import webclient
from srtplan.rehearsal.simulated.flags import Flags
from srtplan.rehearsal.simulated.naming import ANY
from srtplan.rehearsal.simulated.program import Program
from srtplan.rehearsal.simulated.webserver import Json

LEASE_S = 2.0
CONNECT_S = 10.0
RETRY_S = 0.25
Instance = dict[str, Json]


class _Registry:
    """The instances of a simulated etcd and the connections that watch them."""

    def __init__(self, program: Program, name: str = "default") -> None:
        self.program, self.name = program, name
        self.instances: dict[int, Instance] = {}
        self.watchers: set[asyncio.StreamWriter] = set()
        self.next = 1

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        own: set[int] = set()
        is_orderly = False
        try:
            while line := await reader.readline():
                verb, _, rest = line.decode().strip().partition(" ")
                if verb == "REG":
                    own.add(self._register(json.loads(rest)))
                elif verb == "WATCH":
                    self.watchers.add(writer)
                    self._announce(writer)
                elif verb == "DROP":
                    self._remove(own)
                    own = set()
                elif verb == "BYE":
                    is_orderly = True
                    break
                elif verb in {"GET", "POST", "PUT"}:
                    self._http(rest.split(" ")[0], writer)
                    break
        except ConnectionError:
            is_orderly = False
        self.watchers.discard(writer)
        if own and not is_orderly:
            await asyncio.sleep(LEASE_S)
        self._remove(own)
        writer.close()

    def _register(self, instance: Instance) -> int:
        number = self.next
        self.next += 1
        self.instances[number] = instance
        self.program.say(f"put {instance.get('component')}/{instance.get('instance_id')}")
        self._announce_all()
        return number

    def _remove(self, numbers: set[int]) -> None:
        for number in numbers:
            self.instances.pop(number, None)
        if numbers:
            self.program.say(f"lease ended: {len(numbers)} instances removed")
            self._announce_all()

    def _announce_all(self) -> None:
        for writer in self.watchers:
            self._announce(writer)

    def _announce(self, writer: asyncio.StreamWriter) -> None:
        writer.write(json.dumps(list(self.instances.values())).encode() + b"\n")

    def _http(self, path: str, writer: asyncio.StreamWriter) -> None:
        answers: dict[str, Json] = {
            "/health": {"health": "true", "reason": ""},
            "/version": {"etcdserver": "3.5.21", "etcdcluster": "3.5.0"},
            "/v3/cluster/member/list": {
                "header": {"cluster_id": "1"},
                "members": [{"ID": "1", "name": self.name}],
            },
        }
        body = json.dumps(answers.get(path, {})).encode()
        status = "200 OK" if path in answers and self.program.is_ready else "404 Not Found"
        writer.write(
            f"HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
        )


async def serve_etcd(program: Program, flags: Flags) -> int:
    """Be ``etcd --listen-client-urls http://HOST:PORT[,...]``."""
    registry = _Registry(program, flags.text("name", default="default"))
    await program.load(["starting etcd (simulated)"])
    for which, default in (
        ("listen-client-urls", "http://localhost:2379"),
        ("listen-peer-urls", "http://localhost:2380"),
    ):
        for url in flags.text(which, default=default).split(","):
            host, port, _ = webclient.split(url)
            program.servers.append(
                await asyncio.start_server(registry.connected, program.naming.bind(host), port, limit=1 << 20)
            )
            program.say(f"serving {'client' if 'client' in which else 'peer'} traffic on {host}:{port}")
    program.say("ready to serve client requests")
    await program.stopped()
    await program.finish()


async def serve_nats(program: Program, flags: Flags) -> int:
    """Be ``nats-server [-n NAME] [-js] [-a HOST] [-p PORT] [-m PORT] [-c FILE]``."""
    host, port = flags.text("a", "addr", "net", default=ANY), flags.number("p", "port", default=4222)
    name = flags.text("n", "name", "server_name", default="SIM")
    await program.load(["Starting nats-server (simulated)"])

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        info = {
            "server_id": "SIM",
            "server_name": name,
            "version": "2.10.28",
            "jetstream": True,
            "max_payload": 1048576,
        }
        writer.write(b"INFO " + json.dumps(info, separators=(",", ":")).encode() + b"\r\n")
        while line := await reader.readline():
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
        writer.close()

    program.servers.append(await asyncio.start_server(connected, program.naming.bind(host), port))
    if flags.has("m", "http-port"):
        registry = _Registry(program)
        monitor = program.naming.bind(host)
        program.servers.append(
            await asyncio.start_server(
                registry.connected, monitor, flags.number("m", "http-port", default=8222)
            )
        )
    program.say(f"Listening for client connections on {host}:{port}")
    program.say("Server is ready")
    await program.stopped()
    await program.finish()


class Connection:
    """A worker's or frontend's connection to etcd, and to NATS where that is used."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.writer: asyncio.StreamWriter | None = None

    async def open(self, changed: Callable[[list[Instance]], None] | None = None) -> None:
        """Connect as the environment says, end with 1 if that fails; watch the instances if ``changed`` is given."""
        environment = self.program.environment
        nats = environment.get("NATS_SERVER", "")
        if nats or environment.get("DYN_REQUEST_PLANE") == "nats":
            reader, writer = await self._reach("NATS", nats or "nats://localhost:4222", 4222)
            self.program.connections.append(writer)
            self._watch(self._drain(reader, "NATS"))
        url = environment.get("ETCD_ENDPOINTS", "http://localhost:2379").split(",")[0]
        reader, self.writer = await self._reach("etcd", url, 2379)
        if changed is not None:
            self.writer.write(b"WATCH\n")
        self._watch(self._read(reader, changed))

    def _watch(self, work: Coroutine[Any, Any, None]) -> None:
        self.program.background.add(asyncio.ensure_future(work))

    async def _reach(
        self, what: str, url: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        place = webclient.split(url, port)[:2]
        loop = asyncio.get_running_loop()
        end = loop.time() + float(self.program.environment.get("SRT_REHEARSAL_CONNECT", CONNECT_S))
        while True:
            try:
                return await webclient.connect(self.program.naming, *place)
            except OSError as error:
                if loop.time() >= end or self.program.is_stopping:
                    self.program.exit_with(
                        1, f"ConnectionError: unable to connect to {what} at {url}: {error}"
                    )
            await asyncio.sleep(RETRY_S)

    async def _drain(self, reader: asyncio.StreamReader, what: str) -> None:
        while await reader.readline():
            pass
        await self._lost(what)

    async def _read(
        self, reader: asyncio.StreamReader, changed: Callable[[list[Instance]], None] | None
    ) -> None:
        while line := await reader.readline():
            if changed is not None:
                changed(json.loads(line))
        await self._lost("etcd")

    async def _lost(self, what: str) -> None:
        self.program.say(f"WARN lost the connection to {what}")
        await asyncio.sleep(LEASE_S)
        if not self.program.is_stopping:
            self.program.exit_with(1, f"ERROR lease lost: {what} is gone, shutting down the runtime")

    def register(self, instance: Instance) -> None:
        """Announce an instance for as long as this process lives."""
        if self.writer is not None:
            self.writer.write(b"REG " + json.dumps(instance).encode() + b"\n")

    async def withdraw(self) -> None:
        """Withdraw all instances and stay connected."""
        if self.writer is not None:
            self.writer.write(b"DROP\n")
            await self.writer.drain()

    async def leave(self) -> None:
        """Withdraw all instances at once."""
        if self.writer is not None:
            self.writer.write(b"BYE\n")
            await self.writer.drain()
            self.writer.close()
