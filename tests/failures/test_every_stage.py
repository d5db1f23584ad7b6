"""Whatever may happen to any job, in every stage: signals, a lost node, a killed srun, a killed supervisor."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import table
from busy import noise_s
from plain import FIRST, KILL_WAIT_S, STOP_S, PlainTrial
from trials import Trial
from verdict import Case, judge

BY_STAGE = {
    "infra start": 73,
    "ports": 73,
    "worker start": 74,
    "frontend start": 75,
    "health": 74,
    "benchmark": 74,
    "serving": 74,
}
CLASS = {72: "preflight", 73: "infra", 74: "worker", 75: "frontend"}
LIMIT = ("--time=2:00",)
"""A USR1 within the last two minutes is Slurm's."""
Act = Callable[[Trial], None]


ACTS: dict[str, tuple[Act, int, str, str]] = {
    "scancel": (Trial.scancel, 79, "cancelled", "received TERM"),
    "stop": (Trial.stop, 79, "cancelled", "received USR1"),
    "TERM to job.sh": (lambda trial: trial.signal("TERM"), 79, "cancelled", "received TERM"),
    "TERM twice": (Trial.term_twice, 79, "cancelled", "received TERM"),
    "time limit": (lambda trial: trial.signal("USR1"), 78, "time_limit", r"the time limit is near \(USR1\)"),
    "node lost": (Trial.lose_node, 77, "node", r"Slurm lost a node: .*"),
}
DONE_WITH_SIMULATED_PROGRAMS = {
    "infra start": {"scancel", "stop"}, "ports": {"TERM to job.sh"}, "worker start": {"scancel", "stop"},
    "frontend start": {"TERM to job.sh"}, "health": {"scancel", "stop", "TERM twice"},
    "benchmark": {"scancel", "stop", "TERM to job.sh"},
    "serving": {"scancel", "stop", "TERM to job.sh", "TERM twice", "time limit"},
    "preflight": {"TERM twice"}, # there nothing runs yet that the first could not end at once
}  # fmt: skip
"""Rows of test_matrix.py, or none."""
ENDS = tuple(
    Case(stage, act, code, group, cause)
    for stage in ("preflight", *BY_STAGE)
    for act, (_, code, group, cause) in ACTS.items()
    if act not in DONE_WITH_SIMULATED_PROGRAMS.get(stage, ())
)


@pytest.mark.parametrize("case", ENDS, ids=lambda case: case.id)
def test_whatever_ends_a_job_ends_it_in_order(case: Case, tmp_path: Path) -> None:
    """In any stage the job ends within KillWait, with its own class, and signals every running step."""
    with PlainTrial(case.stage, tmp_path, options=LIMIT if case.fault == "time limit" else ()) as trial:
        trial.hold()
        ACTS[case.fault][0](trial)
        outcome = trial.wait()
        up = {name for name in trial.started() if trial.is_up(name)} - {
            "benchmark"
        }  # a client is not waited for
        told = {name for name in up if trial.is_told(name)}
    judge(outcome, case, KILL_WAIT_S - 1)
    if case.fault == "node lost":
        up -= {"decode_0", "etcd_0", "frontend_1"}  # they were there
    if case.fault not in {"TERM twice", "scancel"}:  # where a second signal forces, or Slurm itself told them
        assert told >= up
    assert case.stage == "preflight" or up, "something ran"


STOPPING = (
    Case("stopping", "scancel", 79, "cancelled", "received TERM"),
    Case("stopping", "stop again", 79, "cancelled", "received TERM"),
    Case("stopping", "time limit", 79, "cancelled", "received TERM"),
    Case("stopping", "node lost", 79, "cancelled", "received TERM"),
)


@pytest.mark.parametrize("case", STOPPING, ids=lambda case: case.id)
def test_what_happens_while_a_job_stops_does_not_change_its_reason(case: Case, tmp_path: Path) -> None:
    """The first reason counts; a second signal ends the patience with a deaf worker, a lost node takes it away."""
    with PlainTrial(case.stage, tmp_path, options=LIMIT if case.fault == "time limit" else ()) as trial:
        trial.hold()
        ACTS[case.fault.removesuffix(" again")][0](trial)
        outcome = trial.wait()
    judge(outcome, case, 3)
    is_killed = (
        re.search(r"WARN  killing steps that did not stop in time: .*\bdeaf_0$", outcome.log, re.MULTILINE)
        is not None
    )
    assert is_killed == (case.fault != "node lost")


SRUNS = tuple(
    Case(
        stage,
        f"an srun is killed ({FIRST[stage]})",
        code,
        CLASS[code],
        rf"{FIRST[stage]} on node[01] ended with 137",
    )
    for stage, code in BY_STAGE.items()
    if stage in {"ports", "worker start", "frontend start"}
)


@pytest.mark.parametrize("case", SRUNS, ids=lambda case: case.id)
def test_the_tasks_of_a_killed_srun_are_ended_with_the_job(case: Case, tmp_path: Path) -> None:
    """They go on without it; the job notices, and tells them in order."""
    with PlainTrial(case.stage, tmp_path) as trial:
        trial.hold()
        trial.kill_srun(FIRST[case.stage])
        outcome = trial.wait()
    judge(outcome, case, 2 + STOP_S + 4)


@pytest.mark.row("preflight", "an srun is killed (preflight)")
def test_the_srun_of_the_preflight_is_killed(tmp_path: Path) -> None:
    """Nodes that could not answer are no reason to go on."""
    with PlainTrial("preflight", tmp_path) as trial:
        trial.hold()
        trial.kill_srun("preflight")
        outcome = trial.wait()
        assert outcome.left == ("step preflight, which Slurm had to end",), (
            "its number is known to nobody else"
        )
    judge(
        outcome,
        Case("preflight", "an srun is killed (preflight)", 72, "preflight", "node0: did not answer"),
        KILL_WAIT_S,
        left=(),
    )


@pytest.mark.row("stopping", "an srun is killed (deaf_0)")
def test_the_srun_of_a_deaf_worker_is_killed_while_stopping(tmp_path: Path) -> None:
    """What it leaves running is found by Slurm's list, and killed."""
    with PlainTrial("stopping", tmp_path) as trial:
        trial.hold()
        trial.kill_srun("deaf_0")
        outcome = trial.wait()
    judge(
        outcome, Case("stopping", "an srun is killed (deaf_0)", 79, "cancelled", "received TERM"), STOP_S + 4
    )


@pytest.mark.row("preflight", "a node does not answer")
def test_a_preflight_that_hangs_has_an_end(tmp_path: Path) -> None:
    """A file system that does not answer is not waited for longer than SRTPLAN_PREFLIGHT_WAIT_S; the node is named."""
    with PlainTrial("preflight", tmp_path, SRTPLAN_PREFLIGHT_WAIT_S="2") as trial:
        trial.hold()
        trial.fault()
        outcome = trial.wait()
    judge(outcome, Case("preflight", "a node does not answer", 72, "preflight", "node0: did not answer"), 6)


KILLED = ("preflight", "worker start", "ports", "frontend start", "stopping")


@pytest.mark.parametrize(
    "stage", [pytest.param(s, marks=pytest.mark.row(s, "SIGKILL of job.sh")) for s in KILLED]
)
def test_a_killed_supervisor_leaves_what_slurm_ends(stage: str, tmp_path: Path) -> None:
    """Slurm ends the steps; what stays is the supervisor's own directory, which carries the job's number."""
    with PlainTrial(stage, tmp_path) as trial:
        trial.hold()
        trial.kill_job()
        outcome = trial.wait()
    scratch = [line for line in outcome.left if line.startswith(f"file srtplan-{trial.job.number}-job.")]
    assert list(outcome.left) == scratch, outcome.log
    assert len(scratch) == 1
    assert outcome.code == 137
    assert outcome.ended_s < KILL_WAIT_S + 2 + noise_s()
    table.compare(
        table.Row(stage, "SIGKILL of job.sh", "rehearsal", "137", "-", "-", f"{outcome.ended_s:.1f}")
    )
