"""List every command of a job, as ``bash steps/<step>.sh show`` prints them on the cluster.

In: a Plan. Out: lines; values known only at run time are written as in the launcher::

    decode_0, on node 1: SGLang decode worker 0
      srun --overlap --input=none --nodes=1 --ntasks=1 "--nodelist=${NODE[1]}" ...
      setup::script fix.sh
      python3 -m dynamo.sglang
        --model-path /model
"""

from __future__ import annotations

from collections.abc import Iterator

from srtplan.bundle import quote
from srtplan.bundle.launcher import command_lines, render_call
from srtplan.ir.plan import Plan, Step
from srtplan.ir.shell import Words


def commands(plan: Plan) -> list[str]:
    """The commands of all steps in start order, with a title."""
    return ["COMMANDS, in start order", *("  " + line for step in plan.steps for line in _step(step))]


def _step(step: Step) -> Iterator[str]:
    nodes = ",".join(map(str, step.nodes))
    tasks = f", {step.ntasks} tasks" if step.ntasks > 1 else ""
    yield f"{step.name}, on node{'s' if len(step.nodes) > 1 else ''} {nodes}{tasks}: {step.note or step.stage}"
    yield "  srun " + " ".join(quote.option(o.name, o.value).text for o in step.srun)
    yield from ("  " + render_call(c).text for c in step.preamble)
    yield from _argv(step.argv)
    for run in step.runs:
        yield f"  {run.name}:"
        yield from _argv(run.argv)


def _argv(argv: Words) -> Iterator[str]:
    for n, line in enumerate(command_lines(argv)):
        yield ("    " if n else "  ") + line.text
