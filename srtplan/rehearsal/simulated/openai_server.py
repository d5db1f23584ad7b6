"""Simulated ``vllm serve MODEL`` and ``trtllm-serve MODEL``.

A rank with ``--headless``, or above 0, serves nothing. TensorRT-LLM's server reads a file of options, which must be there,
takes requests for a model of any name, and listens on the loopback by default; vLLM's listens everywhere.
"""

from srtplan.rehearsal.simulation.engine import Engine
from srtplan.rehearsal.simulation.flags import Flags
from srtplan.rehearsal.simulation.naming import ANY
from srtplan.rehearsal.simulation.program import Program
from srtplan.rehearsal.simulation.ranks import join, stay


def main(program: Program, flags: Flags) -> int:
    """Be one process of a server."""
    is_vllm = "vllm" in program.name
    if not is_vllm:
        program.require(flags.text("extra-llm-api-options", "config", "extra-engine-args"))
    rank = join(program, flags)
    if rank > 0 or flags.has("headless"):
        stay(program, rank)
    engine = Engine(program, flags, is_strict=is_vllm)
    engine.load()
    engine.serve(
        flags.text("host", default=ANY if is_vllm else "localhost"), flags.number("port", default=8000)
    )
