"""The profiler of a simulated engine: it leaves traces where the real one would.

In: calls to start and stop, the options and variables that name the place, nsys around the engine. Out: small files.
torch writes when it is stopped; nsys when the range ends, or after its delay and duration; TensorRT-LLM's window of
iterations ends with the first request.
"""

import gzip
import json

from srtplan.rehearsal.simulated.wrappers.nsys import AFTER, REPORT
from srtplan.rehearsal.simulation.flags import Flags
from srtplan.rehearsal.simulation.http import Request, Response
from srtplan.rehearsal.simulation.program import Program, after

FOLDERS = ("SGLANG_TORCH_PROFILER_DIR", "VLLM_TORCH_PROFILER_DIR")


class Profiler:
    """The profiler of one engine process."""

    def __init__(self, program: Program, flags: Flags) -> None:
        self.program, self.flags = program, flags
        self.report = program.environment.get(REPORT, "")
        self.folder = ""
        self.has_window = "TLLM_PROFILE_START_STOP" in program.environment
        if seconds := program.environment.get(AFTER, ""):
            after(float(seconds), self._write_report)

    def call(self, request: Request) -> Response:
        """Start or stop, as the last part of the path says."""
        body = request.json()
        if not request.path.endswith("start_profile"):
            self._stop()
            return Response(text="Stop profiling. This will take some time.\n")
        config = self.flags.text("profiler-config")
        configured = json.loads(config).get("torch_profiler_dir") if config.startswith("{") else None
        variables = [self.program.environment[name] for name in FOLDERS if name in self.program.environment]
        self.folder = str(body.get("output_dir") or configured or (variables or [""])[0])
        self.program.say(f"start profiling {json.dumps(body)}")
        return Response(text="Start profiling.\n")

    def note_request(self) -> None:
        """Note that a request is served: a window of iterations ends some time."""
        if self.has_window and self.report:
            self.has_window = False
            self._write_report()

    def _stop(self) -> None:
        """Write the traces: of torch one per rank that this process speaks for."""
        self.program.say("stop profiling")
        if self.report:
            self._write_report()
        for rank in range(self._ranks() if self.folder and not self.report else 0):
            name = f"{self.program.step}-TP-{rank}.trace.json.gz"
            self.program.write(f"{self.folder}/{name}", gzip.compress(b'{"traceEvents": []}', mtime=0))

    def _ranks(self) -> int:
        tensor = self.flags.number("tensor-parallel-size", "tp-size", "tp", default=1)
        pipeline = self.flags.number("pipeline-parallel-size", "pp-size", "pp", default=1)
        return tensor * pipeline * self.flags.number("data-parallel-size-local", default=1)

    def _write_report(self) -> None:
        self.program.write(f"{self.report}.nsys-rep", b"a simulated report\n")
