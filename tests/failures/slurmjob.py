"""Jobs on the real Slurm for the failure matrix: two nodes that serve until something happens, and the judge."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import table
from bundles import Run, submit
from busy import noise_s
from plans import plan, step
from slurm_cluster.client import Cluster, eventually
from slurm_cluster.leftovers import Leftovers
from trials import readable
from verdict import Case

from srtplan.bundle.render import render
from srtplan.bundle.write import write
from srtplan.ir.plan import Plan, Step
from srtplan.ir.shell import words
from srtplan.plan.show.serialise import to_json

STOP_S = 6
TELLS = "trap 'echo got TERM; exit 0' TERM; echo up; while :; do sleep 0.2; done"
"""An engine that ends in order when it is asked to."""
ALL = ("nats_0", "prefill_0", "decode_0", "frontend_0")


def tells(name: str, stage: str, node: int) -> Step:
    """A step that records when it gets a signal to stop."""
    return step(name, stage, words("bash", "-c", TELLS), nodes=(node,))


def serving(*more: Step, **changes: Any) -> Plan:
    """A job on two nodes that serves until something happens."""
    steps = (tells("nats_0", "infra", 0), tells("prefill_0", "worker", 0), tells("decode_0", "worker", 1))
    return plan(*steps, tells("frontend_0", "frontend", 0), *more, stop_timeout_s=STOP_S, **changes)


def start(cluster: Cluster, made: Plan, *options: str, env: dict[str, str] | None = None) -> Run:
    """Write the bundle and submit it."""
    folder = cluster.shared / f"job{time.monotonic_ns()}"
    folder.mkdir()
    write(render(made, {"plan.json": to_json(made)}), folder / "bundle")
    return submit(cluster, folder, *options, env=env)


def log(run: Run) -> str:
    """The log of the job so far."""
    path = run.directory / "logs" / "job.log"
    return path.read_text() if path.exists() else ""


def until(run: Run, text: str, timeout: float = 30) -> None:
    """Wait until the log contains a text."""
    eventually(lambda: text in log(run), timeout, f"{text!r} in\n{log(run)}")


def until_up(run: Run, *names: str) -> None:
    """Wait until steps have said that they are up."""

    def are_up() -> bool:
        return all("up" in read(run.directory / "logs" / f"{name}.out") for name in names)

    eventually(are_up, 30, f"{names} are up")


def read(path: Path) -> str:
    """A file's text, nothing if there is none."""
    return path.read_text() if path.exists() else ""


def judge(run: Run, case: Case, since: float, left: list[str] | Leftovers) -> None:
    """Code, class, cause, time, leftovers; then the row of the page. ``case.seconds`` is the bound."""
    took = time.monotonic() - since
    left = left() if isinstance(left, Leftovers) else left
    assert run.status["code"] == case.code, log(run)
    assert run.status["class"] == case.group, log(run)
    cause = run.status["cause"]
    assert re.fullmatch(case.cause, cause), f"{cause!r}\n{log(run)}"
    first = re.search(r"^\S+ ERROR (.*)$", log(run), re.MULTILINE)
    assert first is not None
    assert first[1] == f"{case.group}: {cause}"
    assert took < case.seconds + noise_s(), f"{took:.1f} s\n{log(run)}"
    assert left == [], log(run)
    table.compare(
        table.Row(case.stage, case.fault, "Slurm", str(case.code), case.group, readable(cause), f"{took:.1f}")
    )


def step_id(run: Run, name: str) -> str:
    """The Slurm step id of a step."""
    return (run.directory / "run" / "steps" / f"{name}.id").read_text().strip()


def stop(cluster: Cluster, run: Run) -> None:
    """./stop JOBID."""
    cluster.run([run.folder / "bundle" / "stop", str(run.job.id)])
