"""Simulated SGLang router: ``python3 -m sglang_router.launch_router``.

In: ``--pd-disaggregation --prefill URL [BOOTSTRAP] --decode URL`` or ``--worker-urls URL...``. Out: ``/workers`` with
the workers that have answered ``/health``, ``/server_info`` and ``/model_info``, and completions through them.
"""

import asyncio
import uuid
from dataclasses import dataclass, field
from itertools import count

from srtplan.rehearsal.simulated import completions, webclient, webserver
from srtplan.rehearsal.simulated.engine import HEALTH, until_stopped
from srtplan.rehearsal.simulated.flags import Flags
from srtplan.rehearsal.simulated.forward import forward
from srtplan.rehearsal.simulated.program import Program
from srtplan.rehearsal.simulated.webserver import Json, Request, Response

PROBE_S = 0.3
TRIES = 3
OK = 200


@dataclass
class _Worker:
    """One worker behind the router."""

    url: str
    role: str
    bootstrap: int | None = None
    is_listed: bool = False
    is_healthy: bool = False
    failures: int = 0
    model: str = ""
    info: dict[str, Json] = field(default_factory=dict)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def target(self) -> str:
        """URL for our client: gRPC is HTTP with a header here."""
        return self.url.replace("grpc://", "http://")

    @property
    def headers(self) -> dict[str, str]:
        """Headers that every request to this worker carries."""
        return {"x-simulated-transport": "grpc"} if self.url.startswith("grpc://") else {}

    def row(self) -> Json:
        """Return the worker as /workers shows it."""
        row: dict[str, Json] = {
            "id": self.id, "url": self.url, "model_id": self.model, "priority": 50, "cost": 1.0, "worker_type": self.role,
            "is_healthy": self.is_healthy, "load": 0, "connection_mode": "GRPC" if self.headers else "HTTP",
            "metadata": {k: str(self.info.get(k, "")) for k in ("served_model_name", "dp_size", "tp_size", "model_path")},
            "disable_health_check": False,
        }  # fmt: skip
        return row | ({"bootstrap_port": self.bootstrap} if self.bootstrap is not None else {})


class _Router:
    """The router's HTTP interface."""

    def __init__(self, program: Program, workers: list[_Worker]) -> None:
        self.program, self.workers = program, workers
        self.turn = count()

    async def probe(self, worker: _Worker) -> None:
        """Ask one worker for ever: list it once it has answered everything, mark it when it fails."""
        while True:
            status, _ = await self._get(worker, "/health")
            if status != OK:
                worker.failures += 1
                worker.is_healthy = worker.is_healthy and worker.failures < TRIES
            elif not worker.is_listed:
                await self._register(worker)
            else:
                worker.failures, worker.is_healthy = 0, True
            await asyncio.sleep(PROBE_S if not worker.is_listed else PROBE_S * 3)

    async def _get(self, worker: _Worker, path: str) -> tuple[int, Json]:
        try:
            answer = await asyncio.wait_for(
                webclient.send(self.program.naming, worker.target + path, None, worker.headers), 5
            )
            body = await answer.body()
        except (OSError, EOFError, asyncio.TimeoutError):
            return 0, None
        return answer.status, webclient.decode(body)

    async def _register(self, worker: _Worker) -> None:
        for path in ("/server_info", "/model_info"):
            status, value = await self._get(worker, path)
            if status != OK or not isinstance(value, dict):
                return
            worker.info |= value
        worker.model = str(worker.info.get("served_model_name", ""))
        worker.is_listed = worker.is_healthy = True
        self.program.say(f"worker registered: {worker.role} {worker.url}")

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        if self.program.is_stalled:
            await self.program.stopped()
        listed = [worker for worker in self.workers if worker.is_listed]
        if request.path in HEALTH | {"/liveness", "/readiness"}:
            is_well = self.program.is_ready and (request.path != "/readiness" or bool(listed))
            return Response(text="OK" if is_well else "unhealthy", status=OK if is_well else 503)
        if request.path == "/workers":
            return self._list(listed)
        if request.path == "/v1/models":
            return completions.models(listed[0].model if listed else "", "sglang")
        if completions.is_completion(request):
            return await self._complete(request)
        return Response({"error": "Not Found"}, 404)

    def _list(self, listed: list[_Worker]) -> Response:
        stats: Json = {
            f"{role}_count": sum(worker.role == role for worker in listed)
            for role in ("prefill", "decode", "regular")
        }
        return Response(
            {"workers": [worker.row() for worker in listed], "total": len(listed), "stats": stats}
        )

    def _next(self, role: str, number: int) -> _Worker | None:
        healthy = [worker for worker in self.workers if worker.role == role and worker.is_healthy]
        return healthy[number % len(healthy)] if healthy else None

    async def _complete(self, request: Request) -> Response:
        number, body = next(self.turn), request.json()
        regular = self._next("regular", number)
        if regular is not None:
            return await forward(self.program.naming, regular.target + request.path, body, regular.headers)
        prefill, decode = self._next("prefill", number), self._next("decode", number)
        if prefill is None or decode is None:
            return Response({"error": {"message": "No available workers", "code": 503}}, 503)
        host = webclient.split(prefill.target)[0]
        body |= {"bootstrap_host": host, "bootstrap_port": prefill.bootstrap, "bootstrap_room": number}
        first = forward(
            self.program.naming,
            prefill.target + request.path,
            body | {"stream": False, "max_tokens": 1},
            prefill.headers,
        )
        _, answer = await asyncio.gather(
            first, forward(self.program.naming, decode.target + request.path, body, decode.headers)
        )
        return answer


async def serve_router(program: Program, flags: Flags) -> int:
    """Be one SGLang router."""
    workers = [_Worker(values[0], "prefill", _port(values)) for values in flags.every("prefill") if values]
    workers += [_Worker(values[0], "decode") for values in flags.every("decode") if values]
    workers += [_Worker(url, "regular") for values in flags.every("worker-urls") for url in values]
    router = _Router(program, workers)
    await program.load([f"sglang-router (simulated), {len(workers)} workers to be"])
    host, port = flags.text("host", default="127.0.0.1"), flags.number("port", default=30000)
    server = await webserver.serve(program.naming.bind(host), port, router.handle)
    program.say(f"Router listening on {host}:{port}")
    for worker in workers:
        program.background.add(asyncio.ensure_future(router.probe(worker)))
    return await until_stopped(program, server)


def _port(values: list[str]) -> int | None:
    return int(values[1]) if len(values) > 1 and values[1].isdigit() else None
