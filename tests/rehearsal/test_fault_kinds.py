"""What each fault does to a rehearsal."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from handmade import Step, dynamo_bundle, router_bundle, write_bundle
from leftovers_here import Nothing
from rehearsing import logs, run, serving

from srtplan.rehearsal import FaultError, rehearse


@pytest.mark.parametrize(
    ("fault", "code", "step", "said"),
    [
        (
            "decode_0:crash@1.5s benchmark:hang",
            74,
            "decode_0",
            "RuntimeError: a fault of this rehearsal: crash",
        ),
        ("decode_0:crash", 74, "decode_0", "a fault of this rehearsal: crash"),
        ("decode_0:exit0@1s benchmark:hang", 74, "decode_0", "a fault of this rehearsal: exit0"),
        ("prefill_*:oom@1s benchmark:hang", 74, "prefill_0", "out of memory"),
        ("decode_0:badconfig", 74, "decode_0", "invalid choice"),
        ("router_0:crash@1s benchmark:hang", 74, "router_0", "a fault of this rehearsal: crash"),
        ("benchmark:crash", 1, "benchmark", "a fault of this rehearsal: crash"),
        ("benchmark:oom", 137, "benchmark", "out of memory"),
        ("decode_0:hang", 78, "decode_0", "still loading (a fault of this rehearsal: hang)"),
        ("decode_0:hang@0s", 78, "decode_0", "The server is fired up"),
        ("decode_0:unhealthy@0s", 78, "decode_0", "The server is fired up"),
        ("decode_0:slow=3", 0, "decode_0", "graceful shutdown complete"),
        ("decode_0:stubborn", 0, "decode_0", "ignoring SIGTERM"),
    ],
)
def test_a_fault_has_its_effect(
    fault: str, code: int, step: str, said: str, tmp_path: Path, nothing: Nothing
) -> None:
    """Each kind ends the job as it would on the cluster, and the step's log says what was played.

    Where a server fails after a while, the client hangs, so that it has not ended before.
    """
    bundle = router_bundle(tmp_path / "bundle", grace=5)
    found, text = run(bundle, tmp_path / "work", faults=fault.split(), timeout=8 if code == 78 else 60)
    assert found == code, text + logs(tmp_path / "work", step)
    assert said in logs(tmp_path / "work", step)
    assert nothing.is_left()


def test_exit_codes_of_faults_reach_srun(tmp_path: Path) -> None:
    """The job's log has what srun says of the step: 137 for oom, 2 for badconfig."""
    bundle = router_bundle(tmp_path / "bundle")
    assert (
        "task 0: Killed\nprefill_0 ended with 137" in run(bundle, tmp_path / "a", faults=["prefill_0:oom"])[1]
    )
    assert "decode_0 ended with 2" in run(bundle, tmp_path / "b", faults=["decode_0:badconfig"])[1]


@pytest.mark.parametrize(("kind", "code"), [("crash", 1), ("exit0", 0), ("oom", 137)])
def test_a_step_without_simulated_programs_can_fail_too(kind: str, code: int, tmp_path: Path) -> None:
    """A benchmark that is a shell script is ended by its supervisor, with the fault's code."""
    bundle = write_bundle(tmp_path / "bundle", [Step("benchmark", "benchmark", (0,), "sleep 600")], nodes=1)
    begin = time.monotonic()
    assert run(bundle, tmp_path / "work", faults=[f"benchmark:{kind}@1s"])[0] == code
    assert time.monotonic() - begin < 300


def test_an_unhealthy_worker_leaves_the_health_of_the_frontend(tmp_path: Path) -> None:
    """Dynamo counts instances: a worker whose health check fails is withdrawn, and the job waits for it."""
    code, text = run(
        dynamo_bundle(tmp_path / "bundle"), tmp_path / "work", faults=["decode_1:unhealthy@0s"], timeout=10
    )
    assert code == 78, text
    assert "health check failed: withdrawing 1 instances" in logs(tmp_path / "work", "decode_1")


LOSE = """#!/bin/bash
#SBATCH --nodes=2
trap 'echo term' TERM
srun --overlap --input=none --nodes=1 --ntasks=1 --nodelist=node1 --output=/dev/null sleep 60 & pid=$!
while kill -0 "${pid}" 2>/dev/null; do wait "${pid}"; done
wait "${pid}"; echo "srun $?"
sleep 1 & wait $!; sleep 0.5
echo "state $(squeue --noheader --jobs="${SLURM_JOB_ID}" --format='%T %r')"
"""


@pytest.mark.parametrize(
    ("directive", "said"),
    [
        ("", ["srun 0", "term", "state COMPLETING NodeDown", "Slurm says NODE_FAIL"]),
        ("#SBATCH --no-kill\n", ["srun 0", "state RUNNING NodeDown", "Slurm says COMPLETED"]),
    ],
)
def test_a_node_can_be_lost(directive: str, said: list[str], tmp_path: Path, nothing: Nothing) -> None:
    """As on Slurm: its srun names the node and ends with 0; the job ends with TERM, or with --no-kill goes on."""
    bundle = write_bundle(tmp_path / "bundle", [], nodes=2)
    (bundle / "job.sh").write_text(LOSE.replace("trap", f"{directive}trap", 1))
    _, text = run(bundle, tmp_path / "work", faults=["node1:lost@1s"])
    assert "srun: error: Node failure on node1\n" in text
    for line in said:
        assert line in text, text
    assert ("term\n" in text) == (directive == "")
    assert nothing.is_left()


def test_a_lost_batch_host_ends_everything(tmp_path: Path, nothing: Nothing) -> None:
    """Nothing of the job is left to tell; and a fault of a node that does not exist is refused."""
    code, text = run(serving(tmp_path / "bundle"), tmp_path / "work", faults=["node0:lost@1s"])
    assert (code, "Slurm says NODE_FAIL" in text) == (137, True)
    assert nothing.is_left()
    with pytest.raises(FaultError, match="no node 'node7'; there are node0"):
        rehearse(tmp_path / "bundle", faults=["node7:lost"], stdout=io.StringIO())


def test_mpi_ranks_are_one_worker(tmp_path: Path) -> None:
    """trtllm-llmapi-launch runs the server in rank 0 only; all ranks end gracefully, or with a rank that crashes."""
    env = {"ETCD_ENDPOINTS": "http://${NODE[0]}:2379", "DYN_REQUEST_PLANE": "tcp"}
    argv = "trtllm-llmapi-launch python3 -m dynamo.trtllm --model-path /m --served-model-name m"
    steps = [
        Step("etcd", "infra", (0,), "etcd --listen-client-urls http://0.0.0.0:2379"),
        Step(
            "agg_0",
            "worker",
            (0, 1),
            argv,
            ntasks=8,
            env=env,
            srun=("--mpi=pmix", "--oversubscribe", "--cpu-bind=none"),
        ),
        Step("frontend_0", "frontend", (0,), "python3 -m dynamo.frontend --http-port=8000", env=env),
        Step("benchmark", "benchmark", (0,), "curl -sf http://localhost:8000/v1/models"),
    ]
    health = """curl -s "http://${IP[0]}:8000/health" | grep -q '"component":"tensorrt_llm","endpoint":"generate"'"""
    bundle = write_bundle(tmp_path / "bundle", steps, nodes=2, health=health, ports=((0, 2379),))
    code, text = run(bundle, tmp_path / "work")
    assert code == 0, text
    log = logs(tmp_path / "work", "agg_0")
    assert log.count("graceful shutdown complete") == 8
    assert log.count("registered tensorrt_llm.generate") == 1
    assert log.count("waits for work") == 7
    assert '"id":"m"' in logs(tmp_path / "work", "benchmark")
    assert run(bundle, tmp_path / "crash", faults=["agg_0:crash"])[0] == 74
