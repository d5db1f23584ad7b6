"""The failure matrix in the rehearsal: stage by fault, on the stand-in cluster."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import table
from breakable import HEALTH_S, INFRA_S, STOP_S, Bundle
from busy import noise_s
from trials import KILL_WAIT_S, Trial
from verdict import DECIDE_S, Case, judge

MANUAL = "benchmark.type=manual"
HOLD = "benchmark:hang"


def dies(
    stage: str,
    step: str,
    node: str,
    code: int,
    group: str,
    *,
    at: str = "",
    more: tuple[str, ...] = (),
    sets: tuple[str, ...] = (),
) -> list[Case]:
    """A step that ends: with 1, with 0, by SIGKILL."""
    kinds = (("exits 1", "crash", 1), ("exits 0", "exit0", 0), ("is killed", "oom", 137))
    return [
        Case(stage, f"{step} {text}", code, group, f"{step} on {node} ended with {number}", (f"{step}:{kind}{at}", *more), sets)
        for text, kind, number in kinds
    ]  # fmt: skip


SLOW = "decode_0:slow=20"
DEATHS = (
    *dies("infra start", "nats", "node0", 73, "infra"),
    *dies("infra start", "etcd", "node0", 73, "infra")[:1],
    Case("infra start", "etcd has a bad configuration", 73, "infra", "etcd on node0 ended with 2", ("etcd:badconfig",)),
    *dies("ports", "nats", "node0", 73, "infra", at="@1.5s", more=("etcd:slow=20",)),
    *dies("worker start", "decode_0", "node1", 74, "worker"),
    Case("worker start", "prefill_0 has bad options", 74, "worker", "prefill_0 on node0 ended with 2", ("prefill_0:badconfig",)),
    *dies("frontend start", "frontend_0", "node1", 75, "frontend"),
    *dies("frontend start", "nginx", "node0", 75, "frontend")[:2],
    *dies("health", "prefill_0", "node0", 74, "worker", at="@4s", more=(SLOW,)),
    *dies("health", "nats", "node0", 73, "infra", at="@5s", more=(SLOW,))[:1],
    *dies("health", "nginx", "node0", 75, "frontend", at="@4s", more=(SLOW,))[:1],
    *dies("benchmark", "decode_0", "node1", 74, "worker", at="@7s", more=(HOLD,)),
    *dies("benchmark", "etcd", "node0", 73, "infra", at="@8s", more=(HOLD,))[:1],
    *dies("benchmark", "frontend_0", "node1", 75, "frontend", at="@7s", more=(HOLD,))[:1],
    *dies("serving", "decode_0", "node1", 74, "worker", at="@7s", sets=(MANUAL,)),
    *dies("serving", "frontend_0", "node1", 75, "frontend", at="@7s", sets=(MANUAL,))[:1],
)  # fmt: skip


@pytest.mark.parametrize("case", DEATHS, ids=lambda case: case.id)
def test_a_step_that_ends_is_the_cause(case: Case, bundle: Bundle, tmp_path: Path) -> None:
    """A critical step that ends with any code in any stage is named with its class, within 2 s plus the stop deadline."""
    with Trial(bundle(*case.sets), tmp_path / "trial", faults=case.faults) as trial:
        outcome = trial.wait()
    assert outcome.decided_s is not None, "the end of the step, and what was made of it, are in the events"
    assert outcome.decided_s < DECIDE_S + noise_s(), outcome.log
    assert outcome.log.count("--- last lines of") == 1, "only the cause's log is shown"
    judge(outcome, case, DECIDE_S + STOP_S)


WAITS = (
    Case("ports", "nats never listens", 73, "infra", rf"not ready after {INFRA_S} s: nats \(cannot connect\)", ("nats:hang",), seconds=INFRA_S),
    Case("health", "decode_0 never gets ready", 76, "unhealthy", rf"not ready after {HEALTH_S} s: frontend_0 \(prefill 1/1 decode 0/1\)", ("decode_0:hang",), seconds=HEALTH_S),
    Case("health", "decode_0 loads too slowly", 76, "unhealthy", rf"not ready after {HEALTH_S} s: frontend_0 \(prefill 1/1 decode 0/1\)", (SLOW,), seconds=HEALTH_S),
    Case("health", "frontend_0 never answers", 76, "unhealthy", rf"not ready after {HEALTH_S} s: frontend_0 \(no answer\); nginx \(.*\)", ("frontend_0:hang",), seconds=HEALTH_S),
    Case("health", "decode_0 loads slowly, in time", 0, "success", "", ("decode_0:slow=3",), seconds=HEALTH_S),
)  # fmt: skip


@pytest.mark.parametrize("case", WAITS, ids=lambda case: case.id)
def test_a_wait_times_out_and_names_what_is_missing(case: Case, bundle: Bundle, tmp_path: Path) -> None:
    """A step that hangs ends the job after the timeout; a slow one within it does not."""
    budgets = {"infra": {"infra_s": INFRA_S}, "unhealthy": {"health_s": HEALTH_S}}.get(case.group, {})
    with Trial(bundle(**budgets), tmp_path / "trial", faults=case.faults) as trial:
        outcome = trial.wait()
    judge(outcome, case, INFRA_S + case.seconds + STOP_S + 4)


BENCHMARKS = (
    Case("benchmark", "the client exits 1", 1, "benchmark", "benchmark failed with 1.*", ("benchmark:crash",)),
    Case("benchmark", "the client is killed", 137, "benchmark", "benchmark failed with 137.*", ("benchmark:oom",)),
    Case("benchmark", "the client exits 0 without a result", 80, "no_result", "benchmark left no usable result; .*", ("benchmark:exit0",)),
)  # fmt: skip


@pytest.mark.parametrize("case", BENCHMARKS, ids=lambda case: case.id)
def test_a_failed_benchmark_is_the_cause(case: Case, bundle: Bundle, tmp_path: Path) -> None:
    """The job exits with the code of the client; without a result it is not a success."""
    with Trial(bundle(*case.sets), tmp_path / "trial", faults=case.faults) as trial:
        outcome = trial.wait()
    judge(outcome, case, 20)


ACTS: dict[str, tuple[Callable[[Trial], None], str]] = {
    "scancel": (Trial.scancel, "received TERM"),
    "stop": (Trial.stop, "received USR1"),
    "TERM to job.sh": (lambda t: t.signal("TERM"), "received TERM"),
    "TERM twice": (Trial.term_twice, "received TERM"),
}
HELD: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "infra start": ("infra", ("nats:slow=20",), ()),
    "ports": ("waiting", ("nats:slow=20",), ()),
    "worker start": ("worker", (SLOW,), ()),
    "frontend start": ("frontend", (SLOW,), ()),
    "health": ("health", (SLOW,), ()),
    "benchmark": ("benchmark", (HOLD,), ()),
    "serving": ("serving", (), (MANUAL,)),
}
SIGNALS = tuple(
    Case(stage, act, 79, "cancelled", ACTS[act][1])
    for stage, acts in (
        ("infra start", ("scancel", "stop")),
        ("ports", ("TERM to job.sh",)),
        ("worker start", ("scancel", "stop")),
        ("frontend start", ("TERM to job.sh",)),
        ("health", ("scancel", "stop", "TERM twice")),
        ("benchmark", ("scancel", "stop", "TERM to job.sh")),
        ("serving", tuple(ACTS)),
    )
    for act in acts
)
"""The other pairs, with a job of plain shell: test_every_stage.py."""


@pytest.mark.parametrize("case", SIGNALS, ids=lambda case: case.id)
def test_a_signal_in_any_stage_is_a_cancellation(case: Case, bundle: Bundle, tmp_path: Path) -> None:
    """A signal stops the job in order and within KillWait, in every stage."""
    reached, faults, sets = HELD[case.stage]
    with Trial(bundle(*sets), tmp_path / "trial", faults=faults) as trial:
        trial.reach(reached)
        ACTS[case.fault][0](trial)
        outcome = trial.wait()
    judge(outcome, case, KILL_WAIT_S - 2)


@pytest.mark.row("serving", "time limit")
def test_the_time_limit_ends_a_job_in_order(bundle: Bundle, tmp_path: Path) -> None:
    """USR1 that Slurm sends before the time limit is class time_limit."""
    with Trial(bundle(MANUAL), tmp_path / "trial", options=["--time=0:78"]) as trial:
        trial.reach("stop")
        trial.fault()
        outcome = trial.wait()
    judge(outcome, Case("serving", "time limit", 78, "time_limit", r"the time limit is near \(USR1\)"), 10)


SRUNS = tuple(
    Case(stage, f"srun of {step} is killed", code, group, f"{step} on node[01] ended with 137")
    for stage, step, code, group in (
        ("infra start", "nats", 73, "infra"),
        ("health", "decode_0", 74, "worker"),
        ("benchmark", "frontend_0", 75, "frontend"),
        ("serving", "decode_0", 74, "worker"),
    )
)


@pytest.mark.parametrize("case", SRUNS, ids=lambda case: case.id)
def test_a_killed_srun_ends_the_job_and_its_step(case: Case, bundle: Bundle, tmp_path: Path) -> None:
    """The tasks of an srun that was killed go on without it; the job finds and ends them."""
    reached, faults, sets = HELD[case.stage]
    step = case.fault.split()[2]
    with Trial(bundle(*sets), tmp_path / "trial", faults=faults) as trial:
        trial.reach(reached)
        trial.until_running(step)
        trial.kill_srun(step)
        outcome = trial.wait()
    judge(outcome, case, DECIDE_S + STOP_S + 4)


@pytest.mark.parametrize(
    "stage",
    [
        pytest.param(s, marks=pytest.mark.row(s, "SIGKILL of job.sh"))
        for s in ("infra start", "health", "benchmark", "serving")
    ],
)
def test_after_sigkill_of_the_supervisor_slurm_ends_the_steps(
    stage: str, bundle: Bundle, tmp_path: Path
) -> None:
    """Nothing runs on when job.sh itself was killed; only its directories in /tmp may stay."""
    reached, faults, sets = HELD[stage]
    with Trial(bundle(*sets), tmp_path / "trial", faults=faults) as trial:
        trial.reach(reached)
        trial.until_running("nats")
        trial.kill_job()
        outcome = trial.wait()
    assert outcome.code == 137
    assert len(outcome.left) == 1, outcome.log
    assert outcome.left[0].startswith(f"file srtplan-{trial.job.number}-job."), outcome.log
    assert outcome.ended_s < KILL_WAIT_S + 2 + noise_s()
    row = table.Row(stage, "SIGKILL of job.sh", "rehearsal", "137", "-", "-", f"{outcome.ended_s:.1f}")
    table.compare(row)


STOPPING = (
    Case("stopping", "etcd ignores TERM", 0, "success", "", ("etcd:stubborn",)),
    Case("stopping", "NATS ignores TERM", 0, "success", "", ("nats:stubborn",)),
)  # fmt: skip


@pytest.mark.parametrize("case", STOPPING, ids=lambda case: case.id)
def test_a_step_that_ignores_term_is_killed_at_the_deadline(
    case: Case, bundle: Bundle, tmp_path: Path
) -> None:
    """Steps that ignore TERM are killed and named at the deadline; the others stop gracefully."""
    with Trial(bundle(), tmp_path / "trial", faults=case.faults) as trial:
        trial.reach("stop")
        trial.fault()
        outcome = trial.wait()
    step = case.faults[0].partition(":")[0]
    assert f"killing steps that did not stop in time: {step}\n" in outcome.log
    assert len(re.findall(r" 137$", outcome.log, re.MULTILINE)) == 1, "only the deaf one is killed"
    judge(outcome, case, STOP_S + 3)


@pytest.mark.row("stopping", "TERM again, a worker is deaf")
def test_term_while_stopping_a_deaf_worker_forces(bundle: Bundle, tmp_path: Path) -> None:
    """A job that is cancelled, and signalled again while a worker does not listen, kills at once."""
    with Trial(bundle(MANUAL), tmp_path / "trial", faults=["decode_0:stubborn"]) as trial:
        trial.reach("serving")
        trial.signal("TERM")
        trial.until(lambda: "TERM to prefill_0 decode_0" in trial.log, "workers are stopped")
        trial.signal("TERM")
        outcome = trial.wait()
    judge(outcome, Case("stopping", "TERM again, a worker is deaf", 79, "cancelled", "received TERM"), 3)
