"""Simulated SGLang router: ``python3 -m sglang_router.launch_router``.

In: ``--pd-disaggregation --prefill URL [BOOTSTRAP] --decode URL`` or ``--worker-urls URL...``. Out: ``/workers`` with
the workers that have answered ``/health``, ``/server_info`` and ``/model_info``, and completions through them.
"""

import threading
import time
import uuid
from dataclasses import dataclass, field
from itertools import count

from srtplan.rehearsal.simulation import completions as _completions
from srtplan.rehearsal.simulation.engine import HEALTH
from srtplan.rehearsal.simulation.flags import Flags
from srtplan.rehearsal.simulation.http import (
    NOT_FOUND,
    OK,
    Json,
    Request,
    Response,
    fetch,
    health,
    pass_on,
    serve,
    split,
    unavailable,
)
from srtplan.rehearsal.simulation.program import Program

PROBE_S = 0.3
TRIES = 3
ROLES = ("prefill", "decode", "regular")


def main(program: Program, flags: Flags) -> int:
    """Be one SGLang router."""
    workers = [_Worker(values[0], "prefill", _port(values)) for values in flags.every("prefill") if values]
    workers += [_Worker(values[0], "decode") for values in flags.every("decode") if values]
    workers += [_Worker(url, "regular") for values in flags.every("worker-urls") for url in values]
    router = _Router(program, workers)
    program.load([f"sglang-router (simulated), {len(workers)} workers to be"])
    host, port = flags.text("host", default="127.0.0.1"), flags.number("port", default=30000)
    serve(program, host, port, router.answer)
    program.say(f"Router listening on {host}:{port}")
    for worker in workers:
        threading.Thread(target=router.probe, args=[worker], daemon=True).start()
    program.serve()


def _port(values: list[str]) -> int | None:
    return int(values[1]) if len(values) > 1 and values[1].isdigit() else None


@dataclass
class _Worker:
    """One worker behind the router."""

    url: str
    role: str
    bootstrap: int | None = None
    is_listed: bool = False
    is_healthy: bool = False
    failures: int = 0
    info: dict[str, Json] = field(default_factory=dict)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def model(self) -> str:
        """The model that it serves."""
        return str(self.info.get("served_model_name", ""))

    def row(self) -> Json:
        """Return the worker as /workers shows it."""
        row: dict[str, Json] = {
            "id": self.id, "url": self.url, "model_id": self.model, "priority": 50, "cost": 1.0, "worker_type": self.role,
            "is_healthy": self.is_healthy, "load": 0, "disable_health_check": False,
            "connection_mode": "GRPC" if self.url.startswith("grpc://") else "HTTP",
            "metadata": {k: str(self.info.get(k, "")) for k in ("served_model_name", "dp_size", "tp_size", "model_path")},
        }  # fmt: skip
        return row | ({"bootstrap_port": self.bootstrap} if self.bootstrap is not None else {})


class _Router:
    """The router's HTTP interface."""

    def __init__(self, program: Program, workers: list[_Worker]) -> None:
        self.program, self.workers = program, workers
        self.turn = count()

    def probe(self, worker: _Worker) -> None:
        """Ask one worker for ever: list it once it has answered everything, mark it when it fails."""
        while True:
            if fetch(self.program, f"{worker.url}/health")[0] != OK:
                worker.failures += 1
                worker.is_healthy = worker.is_healthy and worker.failures < TRIES
            elif not worker.is_listed:
                self._register(worker)
            else:
                worker.failures, worker.is_healthy = 0, True
            time.sleep(PROBE_S * 3 if worker.is_listed else PROBE_S)

    def _register(self, worker: _Worker) -> None:
        for path in ("/server_info", "/model_info"):
            status, value = fetch(self.program, worker.url + path)
            if status != OK or not isinstance(value, dict):
                return
            worker.info |= value
        worker.is_listed = worker.is_healthy = True
        self.program.say(f"worker registered: {worker.role} {worker.url}")

    def answer(self, request: Request) -> Response:
        """Answer one request."""
        listed = [worker for worker in self.workers if worker.is_listed]
        if request.path in HEALTH | {"/liveness", "/readiness"}:
            has_all = request.path != "/readiness" or bool(listed)
            return health(is_well=self.program.is_ready and has_all, text="OK")
        if request.path == "/workers":
            counts: Json = {f"{role}_count": sum(worker.role == role for worker in listed) for role in ROLES}
            rows: list[Json] = [worker.row() for worker in listed]
            return Response({"workers": rows, "total": len(listed), "stats": counts})
        if request.path == "/v1/models":
            return _completions.models(listed[0].model if listed else "")
        if _completions.is_completion(request):
            return self._complete(request)
        return Response({"error": "Not Found"}, NOT_FOUND)

    def _complete(self, request: Request) -> Response:
        """Pass a request on: to a worker, or to a prefill and a decode worker."""
        number = next(self.turn)
        prefill, decode, regular = (self._next(role, number) for role in ROLES)
        if regular is not None:
            return pass_on(self.program, request, regular.url)
        if prefill is None or decode is None:
            return unavailable("No available workers")
        return pass_on(
            self.program, request, decode.url, prefill.url, bootstrap_host=split(prefill.url)[0],
            bootstrap_port=prefill.bootstrap, bootstrap_room=number,
        )  # fmt: skip

    def _next(self, role: str, number: int) -> _Worker | None:
        healthy = [worker for worker in self.workers if worker.role == role and worker.is_healthy]
        return healthy[number % len(healthy)] if healthy else None
