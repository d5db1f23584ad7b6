"""The failure matrix in the rehearsal: stage by fault, on the stand-in cluster."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import table
from attrs import evolve, frozen
from breakable import HEALTH_S, INFRA_S, STOP_S, Bundle
from trials import KILL_WAIT_S, Outcome, Trial, readable

from srtplan.rehearsal import StandInCluster

MANUAL = "benchmark.type=manual"
HOLD = "benchmark:hang"
DECIDE_S = 2.0
NOISE_S = 4.0 if os.environ.get("CI") else 2.0
"""What a busy machine adds to the bounds."""


@frozen
class Case:
    """One trial of the matrix: what breaks it, and what must come of it (``cause`` is a pattern)."""

    stage: str
    fault: str
    code: int
    group: str
    cause: str
    faults: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def id(self) -> str:
        """Its name in pytest."""
        return f"{self.stage}-{self.fault}".replace(" ", "_")


def judge(outcome: Outcome, case: Case, within: float) -> None:
    """Code, class, cause, time, leftovers; then the row of the page."""
    assert (outcome.code, outcome.group) == (case.code, case.group), outcome.log
    assert re.fullmatch(case.cause, outcome.cause), f"{outcome.cause!r}\n{outcome.log}"
    assert outcome.left == (), outcome.log
    assert outcome.ended_s < within + NOISE_S, f"{outcome.ended_s} s\n{outcome.log}"
    if case.group not in {"success", ""}:
        first = re.search(r"^\S+ ERROR (.*)$", outcome.log, re.MULTILINE)
        assert first is not None
        assert first[1] == f"{case.group}: {outcome.cause}", "the first error in the log must be the cause"
    table.compare(
        table.Row(
            case.stage,
            case.fault,
            "rehearsal",
            str(outcome.code),
            outcome.group or "-",
            readable(outcome.cause) or "-",
            f"{outcome.ended_s:.1f}",
        )
    )


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
    *dies("ports", "nats", "node0", 73, "infra", at="@1.5s", more=("etcd:slow=20",))[:1],
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
    """Whatever a critical step ends with, in every stage: its class, its name, within 2 s plus the stop deadline."""
    with Trial(bundle(*case.sets), tmp_path / "trial", faults=case.faults) as trial:
        outcome = trial.wait()
    assert outcome.decided_s < DECIDE_S + NOISE_S / 2, outcome.log
    assert outcome.log.count("--- the last lines of") == 1, "only the cause's log is shown"
    judge(outcome, case, DECIDE_S + STOP_S)


WAITS = (
    Case("ports", "nats never listens", 73, "infra", rf"nobody listens after {INFRA_S} s: nats \(nobody listens\)", ("nats:hang",), seconds=INFRA_S),
    Case("health", "decode_0 never gets ready", 76, "unhealthy", rf"not ready after {HEALTH_S} s: frontend_0 \(prefill 1/1 decode 0/1\)", ("decode_0:hang",), seconds=HEALTH_S),
    Case("health", "decode_0 loads too slowly", 76, "unhealthy", rf"not ready after {HEALTH_S} s: frontend_0 \(prefill 1/1 decode 0/1\)", (SLOW,), seconds=HEALTH_S),
    Case("health", "frontend_0 never answers", 76, "unhealthy", rf"not ready after {HEALTH_S} s: frontend_0 \(no answer\); nginx \(.*\)", ("frontend_0:hang",), seconds=HEALTH_S),
    Case("health", "decode_0 loads slowly, in time", 0, "success", "", ("decode_0:slow=3",), seconds=HEALTH_S),
)  # fmt: skip


@pytest.mark.parametrize("case", WAITS, ids=lambda case: case.id)
def test_a_wait_has_an_end_and_says_what_is_missing(case: Case, bundle: Bundle, tmp_path: Path) -> None:
    """What hangs ends the job when its budget is over; what is slow and in time does not."""
    with Trial(bundle(), tmp_path / "trial", faults=case.faults) as trial:
        outcome = trial.wait()
    judge(outcome, case, INFRA_S + case.seconds + STOP_S + 4)


BENCHMARKS = (
    Case("benchmark", "the client exits 1", 1, "benchmark", "benchmark failed with 1.*", ("benchmark:crash",)),
    Case("benchmark", "the client is killed", 137, "benchmark", "benchmark failed with 137.*", ("benchmark:oom",)),
    Case("benchmark", "the client exits 0 without a result", 80, "no_result", "benchmark left no usable result; .*", ("benchmark:exit0",)),
)  # fmt: skip


@pytest.mark.parametrize("case", BENCHMARKS, ids=lambda case: case.id)
def test_a_benchmark_that_fails_says_how(case: Case, bundle: Bundle, tmp_path: Path) -> None:
    """The client's own code is the job's; without a result there is no success."""
    with Trial(bundle(*case.sets), tmp_path / "trial", faults=case.faults) as trial:
        outcome = trial.wait()
    judge(outcome, case, 20)


Act = Callable[[Trial], None]


def twice(trial: Trial) -> None:
    """TERM, and TERM again once the first is acted on."""
    trial.signal("TERM")
    trial.until(lambda: "stop: TERM to" in trial.log, "stopping")
    trial.signal("TERM")


ACTS: dict[str, tuple[Act, int, str, str]] = {
    "scancel": (Trial.scancel, 79, "cancelled", "received TERM"),
    "stop": (Trial.stop, 79, "cancelled", "received USR1"),
    "TERM to job.sh": (lambda t: t.signal("TERM"), 79, "cancelled", "received TERM"),
    "TERM twice": (twice, 79, "cancelled", "received TERM"),
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
SIGNALS = (
    *(("infra start", act) for act in ("scancel", "stop")),
    *(("ports", act) for act in ("TERM to job.sh",)),
    *(("worker start", act) for act in ("scancel", "stop")),
    *(("frontend start", act) for act in ("TERM to job.sh",)),
    *(("health", act) for act in ("scancel", "stop", "TERM twice")),
    *(("benchmark", act) for act in ("scancel", "stop", "TERM to job.sh")),
    *(("serving", act) for act in ACTS),
)


@pytest.mark.parametrize(("stage", "act"), SIGNALS, ids=lambda text: text.replace(" ", "_"))
def test_a_signal_in_any_stage_is_a_cancellation(
    stage: str, act: str, bundle: Bundle, tmp_path: Path
) -> None:
    """Whoever asks for the end gets it in order, and within KillWait, wherever the job is."""
    reached, faults, sets = HELD[stage]
    do, code, group, cause = ACTS[act]
    with Trial(bundle(*sets), tmp_path / "trial", faults=faults) as trial:
        trial.reach(reached)
        do(trial)
        outcome = trial.wait()
    judge(outcome, Case(stage, act, code, group, cause), KILL_WAIT_S - 2)


def test_the_time_limit_ends_a_job_in_order(bundle: Bundle, tmp_path: Path) -> None:
    """USR1 that Slurm sends before the time limit is class time_limit."""
    with Trial(bundle(MANUAL), tmp_path / "trial", options=["--time=0:78"]) as trial:
        trial.reach("stop")
        trial.fault()
        outcome = trial.wait()
    judge(outcome, Case("serving", "time limit", 78, "time_limit", r"the time limit is near \(USR1\)"), 10)


@pytest.mark.parametrize(
    ("stage", "step", "node", "code", "group"),
    [
        ("infra start", "nats", "node0", 73, "infra"),
        ("health", "decode_0", "node1", 74, "worker"),
        ("benchmark", "frontend_0", "node1", 75, "frontend"),
        ("serving", "decode_0", "node1", 74, "worker"),
    ],
)
def test_a_killed_srun_ends_the_job_and_its_step(
    stage: str, step: str, node: str, code: int, group: str, bundle: Bundle, tmp_path: Path
) -> None:
    """The tasks of an srun that was killed go on without it; the job finds and ends them."""
    reached, faults, sets = HELD[stage]
    with Trial(bundle(*sets), tmp_path / "trial", faults=faults) as trial:
        trial.reach(reached)
        trial.until_running(step)
        trial.kill_srun(step)
        outcome = trial.wait()
    judge(
        outcome,
        Case(stage, f"srun of {step} is killed", code, group, f"{step} on {node} ended with 137"),
        DECIDE_S + STOP_S + 4,
    )


@pytest.mark.parametrize("stage", ["infra start", "health", "benchmark", "serving"])
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
    left = [line for line in outcome.left if not line.startswith("file ")]
    assert left == [], outcome.log
    assert outcome.ended_s < KILL_WAIT_S + NOISE_S
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
    """One deadline for all; what does not listen is killed and named, and the others stop gently."""
    with Trial(bundle(), tmp_path / "trial", faults=case.faults) as trial:
        trial.reach("stop")
        trial.fault()
        outcome = trial.wait()
    step = case.faults[0].partition(":")[0]
    assert f"killed, for it still ran: {step}\n" in outcome.log
    assert len(re.findall(r" 137$", outcome.log, re.MULTILINE)) == 1, "only the deaf one is killed"
    judge(outcome, case, STOP_S + 3)


def test_term_while_stopping_a_deaf_worker_forces(bundle: Bundle, tmp_path: Path) -> None:
    """A job that is cancelled, and signalled again while a worker does not listen, kills at once."""
    with Trial(bundle(MANUAL), tmp_path / "trial", faults=["decode_0:stubborn"]) as trial:
        trial.reach("serving")
        trial.signal("TERM")
        trial.until(lambda: "TERM to prefill_0 decode_0" in trial.log, "workers are stopped")
        trial.signal("TERM")
        outcome = trial.wait()
    judge(outcome, Case("stopping", "TERM again, a worker is deaf", 79, "cancelled", "received TERM"), 3)


def squat(port: int) -> Callable[[StandInCluster], socket.socket]:
    """Another process that listens on a port of the first node."""

    def prepare(cluster: StandInCluster) -> socket.socket:
        taken = socket.create_server((cluster.block.address(0), port))
        squatters.append(taken)
        return taken

    return prepare


squatters: list[socket.socket] = []


@pytest.mark.parametrize(("port", "step"), [(4222, "nats"), (8000, "nginx")])
def test_a_port_that_is_taken_is_found_before_anything_starts(
    port: int, step: str, bundle: Bundle, tmp_path: Path
) -> None:
    """A stale NATS, or anybody else, on a planned port: node, port, step and holder are named."""
    with Trial(bundle(), tmp_path / "trial", prepare=squat(port)) as trial:
        try:
            outcome = trial.wait()
        finally:
            squatters.pop().close()
    assert not any(line.startswith("step") for line in outcome.left)
    outcome = evolve(outcome, left=tuple(line for line in outcome.left if f"port {port} on" not in line))
    cause = rf"node0: port {port} \({step}\) is in use by \S+ \(pid {os.getpid()}\)"
    judge(outcome, Case("preflight", f"port {port} is taken", 72, "preflight", cause), 5)


@pytest.mark.parametrize(
    ("fault", "env", "cause"),
    [
        ("the output directory cannot be made", {"SRTPLAN_OUTPUT": "/proc/none"}, ""),
        ("model.path is missing", {"SRTPLAN_PREFLIGHT_SKIP": "file path gpus"}, "node0: model.path: /nonexistent/model does not exist"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_found_before_anything_starts(
    fault: str, env: dict[str, str], cause: str, bundle: Bundle, tmp_path: Path
) -> None:
    """Nothing has been started when the preflight refuses."""
    sets = () if not cause else ("model.path=/nonexistent/model",)
    with Trial(bundle(*sets), tmp_path / "trial", env=env) as trial:
        outcome = trial.wait()
    assert "started" not in outcome.log.replace("started     ready", "")
    if not cause:
        assert outcome.code == 72
        assert "ERROR preflight: cannot make the output directory /proc/none/" in outcome.log
        return
    judge(outcome, Case("preflight", fault, 72, "preflight", cause), 5)


@pytest.mark.parametrize(
    ("text", "cause"),
    [("exit 3", "prefill_0 on node0 ended with 3"), ("kill -KILL $$", "prefill_0 on node0 ended with 137")],
)
def test_a_setup_script_that_fails_is_the_workers_end(
    text: str, cause: str, bundle: Bundle, tmp_path: Path
) -> None:
    """A recipe's setup script that fails ends its worker, and so the job, before the engine is started."""
    configs = tmp_path / "srtctl" / "configs"
    configs.mkdir(parents=True)
    (configs / "setup.sh").write_text(
        f"[[ $SRT_STEP == prefill_0 ]] || exec sleep 9\necho setting up\n{text}\n"
    )
    made = bundle("setup_script=setup.sh", profile=f"srtctl_root: {configs.parent}\n")
    with Trial(made, tmp_path / "trial") as trial:
        outcome = trial.wait()
    name = "exits 3" if "exit" in text else "kills itself"
    assert "] bash /configs/setup.sh\nsetting up\n" in outcome.log, "the cause's own last words"
    judge(
        outcome, Case("worker start", f"the setup script {name}", 74, "worker", cause), DECIDE_S + STOP_S + 4
    )


def test_a_stale_nats_that_preflight_missed_is_not_taken_for_ours(bundle: Bundle, tmp_path: Path) -> None:
    """Where somebody else answers on our port our own server cannot listen: it ends, and so does the job."""
    env = {"SRTPLAN_PREFLIGHT_SKIP": "dir file path gpus port"}
    with Trial(bundle(), tmp_path / "trial", env=env, prepare=squat(4222)) as trial:
        try:
            outcome = trial.wait()
        finally:
            squatters.pop().close()
    assert not [line for line in outcome.left if "port 4222 on" not in line]
    outcome = evolve(outcome, left=())
    judge(outcome, Case("ports", "a stale NATS answers", 73, "infra", r"nats on node0 ended with \d+"), 12)
