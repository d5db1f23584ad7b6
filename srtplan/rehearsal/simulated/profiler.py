"""The profiler of a simulated engine: it leaves traces where the real one would.

In: calls to start and stop, the options and variables that name the place, nsys around the engine. Out: small files.
torch writes when it is stopped; nsys when the range ends, or after its delay and duration; TensorRT-LLM's window of
iterations ends with the first requests.
"""

import asyncio
import gzip
import json
from pathlib import Path

from srtplan.rehearsal.simulated.flags import Flags
from srtplan.rehearsal.simulated.program import Program
from srtplan.rehearsal.simulated.webserver import Json
from srtplan.rehearsal.simulated.writing import is_own


class Profiler:
    """The profiler of one engine process."""

    def __init__(self, program: Program, flags: Flags) -> None:
        self.program, self.flags = program, flags
        self.report = program.environment.get("SRT_REHEARSAL_NSYS", "")
        self.folder = ""
        self.is_window_over = "TLLM_PROFILE_START_STOP" not in program.environment
        after = program.environment.get("SRT_REHEARSAL_NSYS_AFTER", "")
        if after:
            asyncio.get_running_loop().call_later(float(after), self._write_report)

    def start(self, body: dict[str, Json]) -> None:
        """Note where the traces go."""
        config = self.flags.text("profiler-config")
        configured = str(json.loads(config).get("torch_profiler_dir", "")) if config.startswith("{") else ""
        names = ("SGLANG_TORCH_PROFILER_DIR", "VLLM_TORCH_PROFILER_DIR")
        variables = [self.program.environment[name] for name in names if name in self.program.environment]
        self.folder = str(body.get("output_dir") or configured or (variables or [""])[0])
        self.program.say(f"start profiling {json.dumps(body)}")

    def stop(self) -> None:
        """Write the traces."""
        self.program.say("stop profiling")
        if self.report:
            self._write_report()
        elif self.folder:
            for rank in range(self._ranks()):
                name = f"{self.program.step}-TP-{rank}.trace.json.gz"
                self._write(f"{self.folder}/{name}", gzip.compress(b'{"traceEvents": []}', mtime=0))

    def _ranks(self) -> int:
        """Return how many ranks this process speaks for: each writes a trace of its own."""
        tensor = self.flags.number("tensor-parallel-size", "tp-size", "tp", default=1)
        pipeline = self.flags.number("pipeline-parallel-size", "pp-size", "pp", default=1)
        return tensor * pipeline * self.flags.number("data-parallel-size-local", default=1)

    def request(self) -> None:
        """Note that a request is served: a window of iterations ends some time."""
        if not self.is_window_over and self.report:
            self.is_window_over = True
            self._write_report()

    def _write_report(self) -> None:
        self._write(f"{self.report}.nsys-rep", b"a simulated report\n")

    def _write(self, path: str, data: bytes) -> None:
        if not is_own(path, self.program.state, self.program.environment):
            self.program.say(f"trace {path} is not written, as it is outside of the run directory")
            return
        target: Path = self.program.naming.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        self.program.say(f"trace written to {path}")
