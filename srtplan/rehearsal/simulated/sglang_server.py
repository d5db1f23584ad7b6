"""Simulated ``python3 -m sglang.launch_server``: rank 0 serves, other ranks join it and stay."""

from srtplan.rehearsal.simulation.engine import BOOTSTRAP, Engine
from srtplan.rehearsal.simulation.flags import Flags
from srtplan.rehearsal.simulation.http import listen
from srtplan.rehearsal.simulation.program import Program
from srtplan.rehearsal.simulation.ranks import join, stay


def main(program: Program, flags: Flags) -> int:
    """Be one process of a server."""
    if not flags.text("model-path", "model"):
        program.exit_with(2, "launch_server.py: error: the following arguments are required: --model-path")
    if rank := join(program, flags):
        stay(program, rank)
    engine = Engine(program, flags, mode=flags.text("disaggregation-mode", default="null"))
    engine.load()
    host = flags.text("host", default="127.0.0.1")
    if engine.mode == "prefill":
        listen(program, host, flags.number("disaggregation-bootstrap-port", default=BOOTSTRAP))
    engine.serve(host, flags.number("port", default=30000))
