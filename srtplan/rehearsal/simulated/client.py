"""The stand-in of a client that no other behavior simulates: one request, and the report that its plugin declared.

In: the Plan, which tells the public URL and the run's result. Out: exit code 1 if the server does not answer the request.
"""

import os
import re
from typing import Any

from srtplan.rehearsal import describe
from srtplan.rehearsal.simulation import clients as _clients
from srtplan.rehearsal.simulation.completions import CHAT
from srtplan.rehearsal.simulation.flags import Flags
from srtplan.rehearsal.simulation.load import Load, drive
from srtplan.rehearsal.simulation.program import Program

REPORT = "the rehearsal's generic client sent one request\n"


def main(program: Program, flags: Flags) -> int:
    """Send one request to the public URL and write the report of the run."""
    program.load()
    plan = program.plan()
    addresses = list(program.naming.addresses.values())
    url = describe.endpoint(plan, addresses)
    run = drive(program, Load(url + CHAT, str(plan.get("served_model_name", "")), 8, 8, 1, 1))
    own: dict[str, Any] = next((step for step in plan.get("steps", ()) if step["name"] == program.step), {})
    for one in own.get("runs") or () if run.good else ():
        argv = [_filled(word, addresses) for word in one["argv"]]
        if one.get("result") and argv[len(argv) - len(flags.argv) :] == flags.argv:
            text = one.get("stand_in", {}).get("report") or REPORT
            program.write(_filled(one["result"], addresses), text.encode())
            break
    return _clients.verdict(program, run)


def _filled(text: str, addresses: list[str]) -> str:
    """Return a word of the Plan with the values of this run."""
    run = os.environ.get("SRT_RUN_DIR", "")
    values = {
        "JOB_ID": os.environ.get("SLURM_JOB_ID", ""), "RUN_DIR": run, "LOG_DIR": f"{run}/logs",
        "BUNDLE_DIR": f"{run}/bundle",
    }  # fmt: skip
    filled = describe.resolved(text, addresses)
    return re.sub(r"\$\{(\w+)\}", lambda match: values.get(match.group(1), match.group()), filled)
