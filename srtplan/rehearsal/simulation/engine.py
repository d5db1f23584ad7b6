"""The HTTP interface of a simulated engine, whatever its command line.

In: requests. Out: completions, and what a router wants to know of a worker.
"""

from typing import NoReturn

from srtplan.rehearsal.simulation import completions as _completions
from srtplan.rehearsal.simulation.flags import Flags
from srtplan.rehearsal.simulation.http import (
    NOT_FOUND,
    TRANSPORT,
    Json,
    Request,
    Response,
    connect,
    health,
    serve,
)
from srtplan.rehearsal.simulation.profiler import Profiler
from srtplan.rehearsal.simulation.program import LOAD_S, Program

LINES = (
    "engine arguments: {model}", "Load weight begin.", "Load weight end.", "KV Cache is allocated. #tokens: 1048576",
    "Capture cuda graph end.",
)  # fmt: skip
BOOTSTRAP = 8998
VERSION = "0.0.0-simulated"
HEALTH = {"/health", "/health_generate", "/ping", "/readyz", "/livez"}


class Engine:
    """The HTTP interface of one simulated engine; ``model`` is the name that its model is served under."""

    def __init__(self, program: Program, flags: Flags, *, mode: str = "null", is_strict: bool = True) -> None:
        self.program, self.flags, self.mode, self.is_strict = program, flags, mode, is_strict
        names = [
            flags.text("served-model-name", "model-name"),
            flags.text("model-path", "model"),
            *flags.words,
        ]
        self.model = next((name for name in names if name not in {"", "serve"}), "")
        self.profiler = Profiler(program, flags)

    def load(self) -> None:
        """Take the time that loading takes."""
        self.program.load([line.format(model=self.model) for line in LINES], LOAD_S)

    def serve(self, host: str, port: int) -> NoReturn:
        """Serve until TERM."""
        serve(self.program, host, port, self.answer)
        self.program.say(f"INFO:     Uvicorn running on http://{host}:{port} (Press CTRL+C to quit)")
        self.program.say("The server is fired up and ready to roll!")
        self.program.serve()

    def answer(self, request: Request) -> Response:
        """Answer one request."""
        if self.flags.has("grpc-mode") != (request.headers.get(TRANSPORT) == "grpc"):
            return Response({"error": "this server speaks gRPC, or the request does"}, 400)
        if request.path in HEALTH:
            return health(is_well=self.program.is_ready)
        if _completions.is_completion(request):
            return self._complete(request)
        if request.method == "POST" and request.path in {"/start_profile", "/stop_profile"}:
            return self.profiler.call(request)
        return self._inform(request.path)

    def _complete(self, request: Request) -> Response:
        """Generate; a decode server first fetches the KV cache from the prefill server's bootstrap port."""
        self.profiler.note_request()
        body = request.json()
        host, port = body.get("bootstrap_host"), int(str(body.get("bootstrap_port") or BOOTSTRAP))
        if self.mode == "decode" and host is not None:
            try:
                connect(self.program, str(host), port).close()
            except OSError as error:
                message = f"KVTransferError: failed to reach the bootstrap server {host}:{port}: {error}"
                self.program.say(message)
                return Response({"error": {"message": message}}, 500)
        return _completions.answer(request, self.model, is_strict=self.is_strict)

    def _inform(self, path: str) -> Response:
        """Answer what tells about the server."""
        model = self.flags.text("model-path", "model")
        info: dict[str, Json] = {
            "model_path": model, "tokenizer_path": model, "served_model_name": self.model, "is_generation": True,
        }  # fmt: skip
        server: dict[str, Json] = {
            "tp_size": self.flags.number("tensor-parallel-size", "tp-size", "tp", default=1),
            "dp_size": self.flags.number("data-parallel-size", "dp-size", default=1),
            "disaggregation_mode": self.mode if self.mode in {"prefill", "decode"} else "null", "version": VERSION,
        }  # fmt: skip
        known = {
            **dict.fromkeys(("/get_model_info", "/model_info"), Response(info)),
            **dict.fromkeys(("/get_server_info", "/server_info"), Response(info | server)),
            "/v1/models": _completions.models(self.model),
            "/metrics": Response(text="# simulated\n"),
            "/version": Response({"version": VERSION}),
        }
        return known.get(path, Response({"detail": "Not Found"}, NOT_FOUND))
