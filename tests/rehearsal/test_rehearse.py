"""Whole rehearsals of bundles written by hand: how they run, what they say, how they end, and that nothing is left."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from handmade import Step, dynamo_bundle, router_bundle, write_bundle
from leftovers_here import Nothing

from srtplan.rehearsal import FaultError, RehearsalError, network, rehearse

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {"kill_wait": "3"}
PROGRAM = (
    "import sys; from pathlib import Path; from srtplan.rehearsal import rehearse;"
    "sys.exit(rehearse(Path(sys.argv[1]), work=Path(sys.argv[2]), settings={'kill_wait': '3'}))"
)


def run(
    bundle: Path, work: Path, *, faults: Sequence[str] = (), timeout: float | None = None
) -> tuple[int, str]:
    """Rehearse and return the exit code and the text."""
    out = io.StringIO()
    code = rehearse(bundle, faults=faults, work=work, stdout=out, settings=SETTINGS, timeout=timeout)
    return code, out.getvalue()


class Started:
    """A rehearsal in a process of its own, whose job is ready."""

    def __init__(self, bundle: Path, work: Path) -> None:
        self.path = bundle.parent / f"{bundle.name}.log"
        with self.path.open("wb") as out:
            argv = [sys.executable, "-c", PROGRAM, str(bundle), str(work)]
            self.process = subprocess.Popen(argv, cwd=ROOT, stdout=out, stderr=out)
        end = time.monotonic() + 60
        while "\nready\n" not in self.text:
            assert time.monotonic() < end, f"the job never got ready:\n{self.text}"
            assert self.process.poll() is None, self.text
            time.sleep(0.05)

    @property
    def text(self) -> str:
        """What it has printed so far."""
        return self.path.read_text()

    def ends(self, *numbers: signal.Signals) -> int:
        """Send signals and return the exit code."""
        for number in numbers:
            self.process.send_signal(number)
        return self.process.wait(40)


def logs(work: Path, step: str) -> str:
    """Return the log of a step of the only run below ``work``."""
    (path,) = work.glob(f"*/attempt_0/logs/{step}.out")
    return path.read_text()


def serving(folder: Path, argv: str = "") -> Path:
    """A bundle whose job serves until it is told to end."""
    server = (
        "python3 -m sglang.launch_server --model-path /m --served-model-name m --host 0.0.0.0 --port 30000"
    )
    health = 'curl -sf "http://${IP[0]}:30000/health"'
    return write_bundle(folder, [Step("agg_0", "worker", (0,), argv or server)], nodes=1, health=health)


# ------------------------------------------------------------------ success


@pytest.mark.parametrize("make", [router_bundle, dynamo_bundle])
def test_a_bundle_runs_to_its_end(make: Callable[[Path], Path], tmp_path: Path, nothing: Nothing) -> None:
    """Workers, frontends and the benchmark run, the result is there, all steps end gracefully, nothing is left."""
    code, text = run(make(tmp_path / "bundle"), tmp_path / "work")
    assert code == 0, text
    assert "Ended     success (exit code 0, Slurm says COMPLETED)" in text
    assert "LEFT BEHIND" not in text
    assert "left steps running" not in text
    (results,) = (tmp_path / "work").glob("*/attempt_0/results")
    assert any(path.stat().st_size for path in results.iterdir())
    for path in results.parent.glob("logs/*.out"):
        assert path.stem == "benchmark" or "graceful shutdown complete" in path.read_text(), path
    assert nothing.is_left()


def test_the_header_tells_what_will_run(tmp_path: Path) -> None:
    """Before the job's own log: model, nodes with addresses, steps, and the URL; after it, where everything is."""
    bundle = router_bundle(tmp_path / "bundle")
    plan = json.loads((bundle / "plan.json").read_text())
    plan["processes"] = [
        {
            "mode": "prefill", "endpoint": 0, "rank": 0, "node": 0, "gpus": [0, 1, 2, 5],
            "ports": {"http": 30000, "bootstrap": 31000},
        }
    ]  # fmt: skip
    plan["steps"][0] |= {"mode": "prefill", "endpoint": 0, "rank": None}
    plan["url"] = "http://${IP[0]}:8000"
    (bundle / "plan.json").write_text(json.dumps(plan))
    text = run(bundle, tmp_path / "work")[1]
    head = text.partition("ready")[0]
    assert "m on sglang behind sglang" in head
    assert "GPUs 0-2,5" in head
    assert "prefill_0             ports http 30000, bootstrap 31000" in head
    address = head.partition("node0")[2].split()[0]
    assert f"Endpoint  http://{address}:8000" in head
    assert f"Logs      {tmp_path / 'work'}" in text


def test_two_rehearsals_at_once(tmp_path: Path, nothing: Nothing) -> None:
    """Each has its own addresses, so the same ports do not disturb."""
    both = [Started(serving(tmp_path / f"bundle{n}"), tmp_path / f"work{n}") for n in range(2)]
    assert [one.ends(signal.SIGTERM) for one in both] == [79, 79]
    assert nothing.is_left()


def test_without_a_place_for_it_a_success_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run's folder is temporary: gone after a success, kept and named after a failure, or with keep."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "tmp").mkdir()
    bundle = write_bundle(
        tmp_path / "bundle", [Step("benchmark", "benchmark", (0,), "sh -c 'exit ${OWN_CODE:-0}'")], nodes=1
    )
    out = io.StringIO()
    assert rehearse(bundle, stdout=out) == 0
    assert list((tmp_path / "tmp").iterdir()) == []
    assert rehearse(bundle, keep=True, stdout=out) == 0
    assert len(list((tmp_path / "tmp").iterdir())) == 1
    monkeypatch.setenv("OWN_CODE", "5")
    assert rehearse(bundle, stdout=out) == 5
    assert len(list((tmp_path / "tmp").iterdir())) == 2
    assert f"Logs      {tmp_path / 'tmp'}" in out.getvalue()


# ------------------------------------------------------------------ ends


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels_the_job(number: signal.Signals, tmp_path: Path, nothing: Nothing) -> None:
    """Ctrl-C and TERM are scancel: job.sh stops its steps, and its code is ours."""
    one = Started(serving(tmp_path / "bundle"), tmp_path / "work")
    assert one.ends(number) == 79, one.text
    assert "Ended     cancelled (exit code 79, Slurm says CANCELLED)" in one.text
    assert "graceful shutdown complete" in logs(tmp_path / "work", "agg_0")
    assert nothing.is_left()


def test_a_second_signal_ends_everything_at_once(tmp_path: Path, nothing: Nothing) -> None:
    """A job that ignores the first is not waited for."""
    bundle = serving(tmp_path / "bundle")
    (bundle / "job.sh").write_text(
        "#!/bin/bash\ntrap '' TERM USR1\necho ready\nwhile true; do sleep 0.2; done\n"
    )
    one = Started(bundle, tmp_path / "work")
    one.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert one.process.poll() is None
    assert one.ends(signal.SIGINT) == 137, one.text
    assert nothing.is_left()


def test_a_killed_rehearsal_leaves_nothing(tmp_path: Path, nothing: Nothing) -> None:
    """KILL cannot be caught: the controller sees that its caller is gone and ends everything."""
    Started(serving(tmp_path / "bundle"), tmp_path / "work").ends(signal.SIGKILL)
    assert nothing.is_left()


def test_a_killed_controller_leaves_nothing(tmp_path: Path, nothing: Nothing) -> None:
    """The keeper of the job and the supervisors of its steps see that the controller is gone."""
    one = Started(serving(tmp_path / "bundle"), tmp_path / "work")
    (controller,) = [
        pid for pid in nothing.added() if " controller " in nothing.command(pid) and nothing.is_leader(pid)
    ]
    one.process.send_signal(signal.SIGSTOP)  # it must not notice and help
    os.kill(controller, signal.SIGKILL)
    assert not eventually_only(nothing, one.process.pid)
    one.ends(signal.SIGKILL)
    assert nothing.is_left()


def eventually_only(nothing: Nothing, pid: int) -> set[int]:
    """Return what is left beside one process, after a moment."""
    end = time.monotonic() + 15
    while (left := nothing.added() - {pid}) and time.monotonic() < end:
        time.sleep(0.05)
    return left


def test_a_daemon_does_not_survive(tmp_path: Path, nothing: Nothing) -> None:
    """What a step leaves behind with setsid, without its environment, ends with the step."""
    argv = "bash -c 'env -i /usr/bin/setsid /bin/sh -c \"sleep 987 & sleep 987\" & exec sleep 1'"
    bundle = write_bundle(tmp_path / "bundle", [Step("benchmark", "benchmark", (0,), argv)], nodes=1)
    code, text = run(bundle, tmp_path / "work")
    assert (code, "LEFT BEHIND" in text) == (0, False)
    assert subprocess.run(["pgrep", "-f", "sleep 987"], check=False, capture_output=True).stdout == b""
    assert nothing.is_left()


def test_steps_that_job_sh_forgets_are_named(tmp_path: Path) -> None:
    """A job.sh that ends without stopping its steps is found out, though Slurm cleans up behind it."""
    bundle = serving(tmp_path / "bundle")
    text = (
        (bundle / "job.sh")
        .read_text()
        .replace("trap finish EXIT\n", "")
        .replace("while true; do watch; done", "exit 3")
    )
    (bundle / "job.sh").write_text(text)
    code, said = run(bundle, tmp_path / "work")
    assert code == 3
    assert "job.sh left steps running, which Slurm then ended: agg_0" in said


def test_a_time_limit_comes_with_a_warning(tmp_path: Path) -> None:
    """`timeout` is when job.sh gets the signal of its #SBATCH --signal, with the time it asked for still to go."""
    bundle = serving(tmp_path / "bundle")
    begin = time.monotonic()
    code, text = run(bundle, tmp_path / "work", timeout=3)
    assert (code, "got USR1" in text) == (78, True)
    assert time.monotonic() - begin < 15


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    """A folder without job.sh or plan.json, and a fault of a step that does not exist, are errors with a remedy."""
    with pytest.raises(RehearsalError, match=r"is no bundle: it has no job\.sh"):
        rehearse(tmp_path, stdout=io.StringIO())
    bundle = serving(tmp_path / "bundle")
    with pytest.raises(FaultError, match="no step 'decode_7'; there are agg_0"):
        rehearse(bundle, faults=["decode_7:crash"], stdout=io.StringIO())


def test_addresses_are_given_back() -> None:
    """A block is held by a socket: two are different, and a closed one is free again."""
    first, second = network.reserve(), network.reserve()
    assert first.number != second.number
    first.lock.close()
    third = network.reserve()
    assert third.number == first.number
    second.lock.close()
    third.lock.close()


# ------------------------------------------------------------------ faults


@pytest.mark.parametrize(
    ("fault", "code", "step", "said"),
    [
        ("decode_0:crash@1.5s", 74, "decode_0", "RuntimeError: a fault of this rehearsal: crash"),
        ("decode_0:crash", 74, "decode_0", "a fault of this rehearsal: crash"),
        ("decode_0:exit0@1s", 74, "decode_0", "a fault of this rehearsal: exit0"),
        ("prefill_*:oom@1s", 74, "prefill_0", "out of memory"),
        ("decode_0:badconfig", 74, "decode_0", "invalid choice"),
        ("router_0:crash@1s", 74, "router_0", "a fault of this rehearsal: crash"),
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
    """Each kind ends the job as it would on the cluster, and the step's log says what was played."""
    bundle = router_bundle(tmp_path / "bundle", grace=5)
    found, text = run(bundle, tmp_path / "work", faults=[fault], timeout=8 if code == 78 else 60)
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
    bundle = write_bundle(tmp_path / "bundle", [Step("benchmark", "benchmark", (0,), "sleep 60")], nodes=1)
    begin = time.monotonic()
    assert run(bundle, tmp_path / "work", faults=[f"benchmark:{kind}@1s"])[0] == code
    assert time.monotonic() - begin < 10


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
    assert "8 ranks are there" in log
    assert '"id":"m"' in logs(tmp_path / "work", "benchmark")
    assert run(bundle, tmp_path / "crash", faults=["agg_0:crash@2s"])[0] in (74, 0)
