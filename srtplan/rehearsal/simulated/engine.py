"""A simulated inference server: ``sglang.launch_server``, ``vllm serve``, ``trtllm-serve``.

In: its argv. Out: the HTTP interface of the real one on its port, after the time that loading takes. Rank 0 serves;
other ranks join it and stay.
"""

import asyncio

from srtplan.rehearsal.simulated import completions, rendezvous, webclient, webserver
from srtplan.rehearsal.simulated.flags import Flags
from srtplan.rehearsal.simulated.profiler import Profiler
from srtplan.rehearsal.simulated.program import Program
from srtplan.rehearsal.simulated.webserver import Json, Request, Response

SGLANG_LINES = [
    "server_args: {args}",
    "Load weight begin. avail mem=139.20 GB",
    "Loading safetensors checkpoint shards: 100% Completed | 4/4",
    "Load weight end. type=SimulatedForCausalLM",
    "KV Cache is allocated. #tokens: 1048576",
    "Capture cuda graph end. Time elapsed: 0.2 s",
]
VLLM_LINES = [
    "Initializing an engine with config: {args}",
    "Loading weights took 0.5 seconds",
    "Graph capturing finished in 0.2 secs",
]
TRTLLM_LINES = [
    "[TRT-LLM] [I] Using config: {args}",
    "[TRT-LLM] [I] Prefetching checkpoint files.",
    "[TRT-LLM] [I] KV cache allocated",
]
DEFAULT_BOOTSTRAP = 8998
VERSION = "0.0.0-simulated"
HEALTH = {"/health", "/health_generate", "/ping", "/readyz", "/livez"}


class Engine:
    """The HTTP interface of one simulated engine."""

    def __init__(
        self, program: Program, flags: Flags, *, model: str, mode: str, is_strict: bool = True
    ) -> None:
        self.is_strict = is_strict
        self.program, self.flags, self.model, self.mode = program, flags, model, mode
        self.profiler = Profiler(program, flags)
        self.bootstrap = flags.number("disaggregation-bootstrap-port", default=DEFAULT_BOOTSTRAP)

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        if self.program.is_stalled:
            await self.program.stopped()
        if bool(self.flags.has("grpc-mode")) != (request.headers.get("x-simulated-transport") == "grpc"):
            return Response(
                {"error": "this server speaks gRPC" if self.flags.has("grpc-mode") else "not a gRPC server"},
                400,
            )
        if request.path in HEALTH:
            return Response(text="") if self.program.is_ready else Response(text="unhealthy", status=503)
        if completions.is_completion(request):
            return await self._complete(request)
        return self._inform(request)

    async def _complete(self, request: Request) -> Response:
        """Generate; a decode server first fetches the KV cache from the prefill server's bootstrap port."""
        self.profiler.request()
        body = request.json()
        host, port = body.get("bootstrap_host"), body.get("bootstrap_port")
        if self.mode == "decode" and host is not None:
            try:
                _, writer = await webclient.connect(
                    self.program.naming, str(host), int(str(port or DEFAULT_BOOTSTRAP))
                )
                writer.close()
            except OSError as error:
                message = f"KVTransferError: failed to reach the bootstrap server {host}:{port}: {error}"
                self.program.say(message)
                return Response({"error": {"message": message}}, 500)
        return completions.answer(request, self.model, is_strict=self.is_strict)

    def _inform(self, request: Request) -> Response:
        """Answer what tells about the server, and the profiler's two calls."""
        if request.method == "POST" and request.path in {"/start_profile", "/stop_profile"}:
            return self._profile(request)
        if request.path == "/v1/models":
            return completions.models(self.model, "sglang")
        info = self._info()
        known = {
            **dict.fromkeys(("/get_model_info", "/model_info"), Response(info)),
            **dict.fromkeys(("/get_server_info", "/server_info"), Response(info | self._server_info())),
            "/metrics": Response(text="# simulated\n"),
            "/flush_cache": Response(text="Cache flushed."),
            "/version": Response({"version": VERSION}),
        }
        return known.get(request.path, Response({"detail": "Not Found"}, 404))

    def _info(self) -> dict[str, Json]:
        path = self.flags.text("model-path", "model")
        return {
            "model_path": path,
            "tokenizer_path": path,
            "served_model_name": self.model,
            "is_generation": True,
        }

    def _server_info(self) -> dict[str, Json]:
        return {
            "tp_size": self.flags.number("tensor-parallel-size", "tp-size", "tp", default=1),
            "dp_size": self.flags.number("data-parallel-size", "dp-size", default=1),
            "disaggregation_mode": self.mode if self.mode in {"prefill", "decode"} else "null",
            "version": VERSION,
            "internal_states": [{}],
        }

    def _profile(self, request: Request) -> Response:
        if request.path == "/start_profile":
            self.profiler.start(request.json())
            return Response(text="Start profiling.\n")
        self.profiler.stop()
        return Response(text="Stop profiling. This will take some time.\n")


async def serve_sglang(program: Program, flags: Flags) -> int:
    """Be ``python3 -m sglang.launch_server``."""
    if not flags.text("model-path", "model"):
        program.exit_with(
            2, "launch_server.py: error: the following arguments are required: --model-path/--model"
        )
    model = flags.text("served-model-name", default=flags.text("model-path", "model"))
    mode = flags.text("disaggregation-mode", default="null")
    if await join_sglang(program, flags):
        return 0
    await program.load([line.format(args=flags.text("model-path", "model")) for line in SGLANG_LINES])
    engine = Engine(program, flags, model=model, mode=mode)
    host = flags.text("host", default="127.0.0.1")
    if mode == "prefill":
        await open_port(program, host, engine.bootstrap)
    port = flags.number("port", default=30000)
    server = await webserver.serve(program.naming.bind(host), port, engine.handle)
    program.say(f"INFO:     Uvicorn running on http://{host}:{port} (Press CTRL+C to quit)")
    program.say("The server is fired up and ready to roll!")
    return await until_stopped(program, server)


async def join_sglang(program: Program, flags: Flags) -> bool:
    """Meet the other ranks of a server over several nodes; for a rank above 0 stay to the end and return True."""
    count, rank = flags.number("nnodes", default=1), flags.number("node-rank", default=0)
    host, port, _ = webclient.split(flags.text("dist-init-addr", "nccl-init-addr", default="127.0.0.1:29500"))
    await rendezvous.meet(program, (host, port), rank, count)
    if rank == 0:
        return False
    await stay(program, rank)
    return True


async def stay(program: Program, rank: int) -> None:
    """Be a rank that serves nothing: load, wait for TERM."""
    await program.load([f"rank {rank}: Load weight begin.", f"rank {rank}: Load weight end."])
    program.say(f"rank {rank}: ready, rank 0 serves")
    await program.stopped()
    await program.finish()


async def open_port(program: Program, host: str, port: int) -> asyncio.Server:
    """Listen on a port that only has to be there: bootstrap, KV events, side channels. Raises OSError if it is taken."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(connected, program.naming.bind(host), port)
    program.servers.append(server)
    return server


async def until_stopped(program: Program, server: asyncio.Server) -> int:
    """Wait for TERM, stop listening, end in order."""
    await program.stopped()
    server.close()
    await program.finish()
