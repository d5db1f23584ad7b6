"""The stand-in of a program that no other behavior simulates: a server on the ports that the Plan gives its step.

In: the Plan: ports that the preflight wants free for the step, else those of its processes, else of its probes. Out: 200 to
any GET, the served model's name, and plausible completions, after the time that loading takes.
"""

from srtplan.rehearsal import describe
from srtplan.rehearsal.simulation import completions as _completions
from srtplan.rehearsal.simulation.flags import Flags
from srtplan.rehearsal.simulation.http import NOT_FOUND, Request, Response, health, serve
from srtplan.rehearsal.simulation.naming import ANY
from srtplan.rehearsal.simulation.program import LOAD_S, Program


def main(program: Program, _flags: Flags) -> int:
    """Be a server of the step."""
    plan = program.plan()
    model = str(plan.get("served_model_name", ""))

    def answer(request: Request) -> Response:
        if _completions.is_completion(request):
            return _completions.answer(request, model, is_strict=False)
        if request.path == "/v1/models":
            return _completions.models(model)
        if request.method != "GET":
            return Response({"detail": "Not Found"}, NOT_FOUND)
        return health(is_well=program.is_ready, text="OK")

    program.load([f"{program.name} (simulated by a generic server)"], LOAD_S)
    for port in describe.listening(plan, program.step, program.naming.index):
        serve(program, ANY, port, answer)
        program.say(f"listening on port {port}")
    program.say("ready")
    program.serve()
