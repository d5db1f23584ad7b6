"""Simulated ``python3 -m dynamo.frontend``.

In: ``--http-port``, ETCD_ENDPOINTS. Out: ``/health`` with the instances that are registered (200 even with none),
``/v1/models`` and completions through the workers: first a prefill worker where there is one, then decode.
"""

import re
from itertools import count

from srtplan.rehearsal.simulation import completions as _completions
from srtplan.rehearsal.simulation.discovery import Discovery, Instance
from srtplan.rehearsal.simulation.flags import Flags
from srtplan.rehearsal.simulation.http import (
    NOT_FOUND,
    UNAVAILABLE,
    Json,
    Request,
    Response,
    pass_on,
    serve,
)
from srtplan.rehearsal.simulation.naming import ANY
from srtplan.rehearsal.simulation.program import Program


def main(program: Program, flags: Flags) -> int:
    """Be one Dynamo frontend."""
    program.load(["dynamo.frontend (simulated)"])
    frontend = _Frontend(program)
    environment = program.environment
    host = flags.text("http-host", default=environment.get("DYN_HTTP_HOST", ANY))
    port = flags.number("http-port", default=int(environment.get("DYN_HTTP_PORT", "8000")))
    serve(program, re.sub(r"^https?://", "", host), port, frontend.answer)
    program.say(f"HTTP service listening on {host}:{port}")
    program.serve()


class _Frontend:
    """The HTTP interface over the registered instances."""

    def __init__(self, program: Program) -> None:
        self.program, self.discovery = program, Discovery(program)
        self.turn = count()
        self.said = ""

    def answer(self, request: Request) -> Response:
        """Answer one request."""
        instances = self._instances()
        prefill = [one for one in instances if one["component"] == "prefill"]
        decode = [one for one in instances if one["component"] != "prefill"]
        model = str(decode[0]["model"]) if decode else ""
        if not _completions.is_completion(request):
            return self._inform(request.path, instances, model)
        if not model or request.json().get("model") != model:
            message = f"Model not found: {request.json().get('model')}"
            return Response({"message": message, "type": "Not Found", "code": NOT_FOUND}, NOT_FOUND)
        number = next(self.turn)
        second = f"http://{decode[number % len(decode)]['address']}"
        if not prefill:
            return pass_on(self.program, request, second)
        first = prefill[number % len(prefill)]
        more = (
            {"bootstrap_host": first["host"], "bootstrap_port": first["bootstrap"]}
            if first["bootstrap"]
            else {}
        )
        return pass_on(self.program, request, second, f"http://{first['address']}", **more)

    def _inform(self, path: str, instances: list[Instance], model: str) -> Response:
        """Answer what asks for no tokens."""
        if path in {"/health", "/live"} and not self.program.is_ready:
            return Response({"status": "unhealthy", "message": "a fault of this rehearsal"}, UNAVAILABLE)
        known = {
            "/health": Response({"status": "healthy", "instances": _rows(instances)}),
            "/live": Response({"status": "live", "message": "Service is live"}),
            "/metrics": Response(text="# simulated\n"),
            "/v1/models": _completions.models(model),
        }
        return known.get(path, Response({"message": "Not Found"}, NOT_FOUND))

    def _instances(self) -> list[Instance]:
        """Return the instances that are registered now; say when they have changed."""
        instances = self.discovery.instances()
        names = ", ".join(sorted(str(instance["component"]) for instance in instances)) or "none"
        if names != self.said:
            self.said = names
            self.program.say(f"instances: {names}")
        return instances


def _rows(instances: list[Instance]) -> list[Json]:
    """Return the entries of ``instances``, one per endpoint, as Dynamo 1.4 writes them."""
    rows: list[Json] = []
    for instance in instances:
        shown = {key: instance[key] for key in ("component", "namespace", "instance_id")}
        subject = f"{shown['namespace']}_{shown['component']}-{shown['instance_id']:x}"
        shown |= {"device_type": "cuda", "request_plane_codec": "msgpack", "transport": {"nats_tcp": subject}}
        endpoints = instance["endpoints"]
        rows += [
            {"component": shown["component"], "endpoint": name} | shown
            for name in (endpoints if isinstance(endpoints, list) else ())
        ]
    return rows
