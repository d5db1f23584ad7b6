"""Errors before anything is loaded: ports in use, missing paths, failing setup scripts."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve
from breakable import STOP_S, Bundle
from stand_in_slurm.cluster import StandInCluster
from trials import Trial
from verdict import DECIDE_S, Case, judge

squatters: list[socket.socket] = []


def squat(port: int) -> Callable[[StandInCluster], socket.socket]:
    """Another process that listens on a port of the first node."""

    def prepare(cluster: StandInCluster) -> socket.socket:
        taken = socket.create_server((cluster.block.address(0), port))
        squatters.append(taken)
        return taken

    return prepare


@pytest.mark.parametrize(
    ("port", "step"),
    [
        pytest.param(4222, "nats", marks=pytest.mark.row("preflight", "port 4222 is taken")),
        pytest.param(8000, "nginx", marks=pytest.mark.row("preflight", "port 8000 is taken")),
    ],
)
def test_a_port_in_use_is_found_before_anything_starts(
    port: int, step: str, bundle: Bundle, tmp_path: Path
) -> None:
    """For a planned port in use, node, port, step and holder are named."""
    with Trial(bundle(), tmp_path / "trial", prepare=squat(port)) as trial:
        try:
            outcome = trial.wait()
        finally:
            squatters.pop().close()
    assert not any(line.startswith("step") for line in outcome.left)
    outcome = evolve(outcome, left=tuple(line for line in outcome.left if f"port {port} on" not in line))
    cause = rf"node0: port {port} \({step}\) is in use by \S+ \(pid {os.getpid()}\)"
    judge(outcome, Case("preflight", f"port {port} is taken", 72, "preflight", cause), 5)


MISSING = (
    Case("preflight", "model.path is missing", 72, "preflight", "node0: model.path: /nonexistent/model does not exist", sets=("model.path=/nonexistent/model",)),
    Case("preflight", "the setup script is missing", 72, "preflight", r"node0: setup_script: not found or not readable: \S+/configs/none.sh \S+/configs/patches/none.sh", sets=("setup_script=none.sh",)),
)  # fmt: skip


@pytest.mark.parametrize("case", MISSING, ids=lambda case: case.id)
def test_missing_paths_are_found_before_anything_starts(case: Case, bundle: Bundle, tmp_path: Path) -> None:
    """The node, the field of the recipe and the path are named; nothing has been started."""
    (tmp_path / "srtctl" / "configs").mkdir(parents=True)
    made = bundle(*case.sets, profile=f"srtctl_root: {tmp_path}/srtctl\n")
    with Trial(made, tmp_path / "trial", env={"SRTPLAN_PREFLIGHT_SKIP": "file path gpus"}) as trial:
        outcome = trial.wait()
        assert trial.started() == []
    judge(outcome, case, 5)


@pytest.mark.row("preflight", "the output directory cannot be created")
def test_an_output_directory_that_cannot_be_made(bundle: Bundle, tmp_path: Path) -> None:
    """Without an output directory the cause and class are in the log of the job only."""
    with Trial(bundle(), tmp_path / "trial", env={"SRTPLAN_OUTPUT": "/proc/none"}) as trial:
        outcome = trial.wait()
        assert not trial.run_dir.exists()
    cause = rf"cannot create the output directory /proc/none/{trial.job.number}"
    case = Case("preflight", "the output directory cannot be created", 72, "preflight", cause)
    judge(outcome, case, 5)


SETUP = (
    Case("worker start", "the setup script exits 3", 74, "worker", "prefill_0 on node0 ended with 3", sets=("exit 3",)),
    Case("worker start", "the setup script kills itself", 74, "worker", "prefill_0 on node0 ended with 137", sets=("kill -KILL $$",)),
)  # fmt: skip


@pytest.mark.parametrize("case", SETUP, ids=lambda case: case.id)
def test_a_setup_script_that_fails_is_the_workers_end(case: Case, bundle: Bundle, tmp_path: Path) -> None:
    """A recipe's setup script that fails ends its worker, and so the job, before the engine is started."""
    configs = tmp_path / "srtctl" / "configs"
    configs.mkdir(parents=True)
    (configs / "setup.sh").write_text(
        f"[[ $SRT_STEP == prefill_0 ]] || exec sleep 9\necho setting up\n{case.sets[0]}\n"
    )
    made = bundle("setup_script=setup.sh", profile=f"srtctl_root: {configs.parent}\n")
    with Trial(made, tmp_path / "trial") as trial:
        outcome = trial.wait()
    assert "] bash /configs/setup.sh\nsetting up\n" in outcome.log, "the cause's own last words"
    judge(outcome, case, DECIDE_S + STOP_S + 4)


@pytest.mark.row("ports", "a stale NATS answers")
def test_a_stale_nats_that_preflight_missed_is_not_taken_for_ours(bundle: Bundle, tmp_path: Path) -> None:
    """If another server holds the port, ours cannot listen and ends, and so does the job."""
    env = {"SRTPLAN_PREFLIGHT_SKIP": "dir file path gpus port"}
    with Trial(bundle(), tmp_path / "trial", env=env, prepare=squat(4222)) as trial:
        try:
            outcome = trial.wait()
        finally:
            squatters.pop().close()
    assert not [line for line in outcome.left if "port 4222 on" not in line]
    outcome = evolve(outcome, left=())
    judge(outcome, Case("ports", "a stale NATS answers", 73, "infra", r"nats on node0 ended with \d+"), 12)
