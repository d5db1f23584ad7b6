"""Simulated ``python3 -m dynamo.frontend``.

In: ``--http-port``, ETCD_ENDPOINTS. Out: ``/health`` with the instances that etcd has (200 even with none),
``/v1/models`` and completions through the registered workers: first a prefill worker where there is one, then decode.
"""

import re
from itertools import count

from srtplan.rehearsal.simulated import completions, webclient, webserver
from srtplan.rehearsal.simulated.discovery import Connection, Instance
from srtplan.rehearsal.simulated.engine import until_stopped
from srtplan.rehearsal.simulated.flags import Flags
from srtplan.rehearsal.simulated.forward import forward
from srtplan.rehearsal.simulated.naming import ANY
from srtplan.rehearsal.simulated.program import Program
from srtplan.rehearsal.simulated.webserver import Json, Request, Response


class _Frontend:
    """The HTTP interface over the instances that etcd announced last."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.instances: list[Instance] = []
        self.turn = count()

    def changed(self, instances: list[Instance]) -> None:
        """Take over a new list of instances."""
        self.instances = instances
        names = sorted(str(instance["component"]) for instance in instances)
        self.program.say(f"instances: {', '.join(names) or 'none'}")

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        if self.program.is_stalled:
            await self.program.stopped()
        if request.path in {"/health", "/live"}:
            if not self.program.is_ready:
                return Response({"status": "unhealthy", "message": "a fault of this rehearsal"}, 503)
            return (
                self._health()
                if request.path == "/health"
                else Response({"status": "live", "message": "Service is live"})
            )
        if request.path == "/v1/models":
            return completions.models(self._model(), "nvidia")
        if request.path == "/metrics":
            return Response(text="# simulated\n")
        if completions.is_completion(request):
            return await self._complete(request)
        return Response({"message": "Not Found"}, 404)

    def _serving(self, *, is_prefill: bool) -> list[Instance]:
        return [instance for instance in self.instances if (instance["component"] == "prefill") == is_prefill]

    def _model(self) -> str:
        serving = self._serving(is_prefill=False)
        return str(serving[0]["model"]) if serving else ""

    def _health(self) -> Response:
        rows: list[Json] = []
        for instance in self.instances:
            names = instance["endpoints"]
            rows += [_row(instance, str(name)) for name in (names if isinstance(names, list) else [])]
        endpoints: list[Json] = sorted(
            {f"dyn://{r['namespace']}.{r['component']}.{r['endpoint']}" for r in rows if isinstance(r, dict)}
        )  # type: ignore[assignment]
        return Response({"status": "healthy", "endpoints": endpoints, "instances": rows})

    async def _complete(self, request: Request) -> Response:
        body = request.json()
        if not self._model() or body.get("model") != self._model():
            return Response(
                {"message": f"Model not found: {body.get('model')}", "type": "Not Found", "code": 404}, 404
            )
        number = next(self.turn)
        prefill, decode = self._serving(is_prefill=True), self._serving(is_prefill=False)
        if prefill:
            chosen = prefill[number % len(prefill)]
            await webclient.fetch(
                self.program.naming,
                f"http://{chosen['address']}{request.path}",
                body | {"max_tokens": 1, "stream": False},
            )
            if chosen["bootstrap"]:
                body |= {"bootstrap_host": chosen["host"], "bootstrap_port": chosen["bootstrap"]}
        return await forward(
            self.program.naming, f"http://{decode[number % len(decode)]['address']}{request.path}", body
        )


def _row(instance: Instance, endpoint: str) -> Json:
    """Return one entry of ``instances``, as Dynamo 1.4 writes it."""
    component, namespace, number = instance["component"], instance["namespace"], instance["instance_id"]
    subject = f"{namespace}_{component}.{endpoint}-{number:x}" if isinstance(number, int) else ""
    return {
        "component": component, "endpoint": endpoint, "namespace": namespace, "instance_id": number,
        "transport": {"nats_tcp": subject}, "device_type": "cuda", "request_plane_codec": "msgpack",
    }  # fmt: skip


async def serve_frontend(program: Program, flags: Flags) -> int:
    """Be one Dynamo frontend."""
    frontend = _Frontend(program)
    connection = Connection(program)
    await program.load(["dynamo.frontend (simulated)"])
    await connection.open(frontend.changed)
    host = flags.text("http-host", default=program.environment.get("DYN_HTTP_HOST", ANY))
    port = flags.number("http-port", default=int(program.environment.get("DYN_HTTP_PORT", "8000")))
    server = await webserver.serve(
        program.naming.bind(re.sub(r"^https?://", "", host)), port, frontend.handle
    )
    program.say(f"HTTP service listening on {host}:{port}")
    return await until_stopped(program, server)
