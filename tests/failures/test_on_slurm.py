"""The failure matrix on a real Slurm: one fault per stage at least, and every one that only Slurm can bring about."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import table
from bundles import Run
from busy import noise_s
from plans import benchmark, plan, run, step, tcp
from slurm_cluster.client import Cluster
from slurm_cluster.leftovers import Leftovers
from slurmjob import ALL, STOP_S, judge, log, read, serving, start, step_id, stop, tells, until, until_up
from verdict import Case

from srtplan.ir.plan import Plan, PreflightCheck, Probe
from srtplan.ir.shell import words

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("failures")]


@pytest.fixture(scope="module")
def four_nodes(can_cluster: None) -> Iterator[Cluster]:  # noqa: ARG001 (it skips)
    """A cluster as sites have it: KillWait longer than the stop deadline, nodes given up soon."""
    made = Cluster.up("--proctrack=linuxproc", "--conf=KillWait=10", "--conf=SlurmdTimeout=5", nodes=4)
    yield made
    made.down()


@pytest.fixture
def slurm(four_nodes: Cluster) -> Iterator[Cluster]:
    """The cluster; what a test leaves is cancelled."""
    yield four_nodes
    four_nodes.end_jobs()


def kill_step(cluster: Cluster, run: Run) -> None:
    """SIGKILL to a step."""
    cluster.run(["scancel", "--signal=KILL", step_id(run, "decode_0")])


def kill_srun(cluster: Cluster, run: Run) -> None:
    """SIGKILL to an srun on the batch host."""
    host = run.job.record["BatchHost"]
    cluster.run(["pkill", "-KILL", "-o", "-f", "^srun .*--job-name=decode_0"], node=host)


def cancel(_: Cluster, run: Run) -> None:
    """Scancel."""
    run.job.cancel()


def term_twice(cluster: Cluster, run: Run) -> None:
    """TERM to job.sh, and again."""
    run.job.signal("TERM", "--batch")
    until(run, "stop: TERM to")
    cluster.run(["scancel", "--batch", "--signal=TERM", str(run.job.id)], check=False)


Break = Callable[[Cluster, Run], None]
FAULTS: tuple[tuple[Case, Break], ...] = (
    (Case("serving", "a step is killed", 74, "worker", "decode_0 on node1 ended with 137", seconds=5), kill_step),
    (Case("serving", "an srun is killed", 74, "worker", "decode_0 on node1 ended with 137", seconds=10), kill_srun),
    (Case("serving", "scancel", 79, "cancelled", "received TERM", seconds=9), cancel),
    (Case("serving", "stop", 79, "cancelled", "received USR1", seconds=6), stop),
    (Case("serving", "TERM twice", 79, "cancelled", "received TERM", seconds=6), term_twice),
)  # fmt: skip


@pytest.mark.parametrize(
    ("case", "do"), FAULTS, ids=lambda value: getattr(value, "fault", "").replace(" ", "_")
)
def test_a_fault_while_serving(slurm: Cluster, case: Case, do: Break) -> None:
    """Each fault ends the job with its own class, in time, leaves nothing, and stops all other steps gracefully."""
    leftovers = Leftovers(slurm)
    run = start(slurm, serving())
    until(run, "serving")
    until_up(run, *ALL)
    since = time.monotonic()
    do(slurm, run)
    run.job.wait(timeout=40)
    took = time.monotonic()
    left = leftovers()
    judge(run, case, since + (time.monotonic() - took), left)
    if case.fault != "TERM twice":
        gentle = [name for name in ALL if "got TERM" in read(run.directory / "logs" / f"{name}.out")]
        assert set(gentle) >= {"nats_0", "prefill_0", "frontend_0"}, "a TERM reaches the engine's own handler"


def waiting(stage: str) -> Plan:
    """A job that waits for a port, or for health, in vain."""
    if stage == "ports":
        return serving(probes=(tcp("nats_0", 9),))
    probe = Probe(step="decode_0", type="http", node=0, port=9, gate="health", path="/")
    return serving(probes=(probe,))


WAITS: tuple[tuple[Case, str], ...] = (
    (Case("ports", "a step is killed", 73, "infra", "nats_0 on node0 ended with 137", seconds=5), "nats_0"),
    (Case("health", "a step is killed", 74, "worker", "decode_0 on node1 ended with 137", seconds=5), "decode_0"),
)  # fmt: skip


@pytest.mark.parametrize(("case", "name"), WAITS, ids=["ports", "health"])
def test_a_step_that_is_killed_while_the_job_waits(slurm: Cluster, case: Case, name: str) -> None:
    """What the job waits for has not ended: it does not wait for its budget to be over."""
    leftovers = Leftovers(slurm)
    run = start(slurm, waiting(case.stage))
    until(run, f"{'infra' if case.stage == 'ports' else 'health'}: waiting for")
    until_up(run, name)
    since = time.monotonic()
    slurm.run(["scancel", "--signal=KILL", step_id(run, name)])
    run.job.wait(timeout=30)
    took = time.monotonic()
    left = leftovers()
    judge(run, case, since + (time.monotonic() - took), left)


@pytest.mark.row("serving", "time limit")
def test_the_time_limit(slurm: Cluster) -> None:
    """Slurm's warning before the limit ends the job in order, before the limit does."""
    leftovers = Leftovers(slurm)
    base = [line for line in serving().sbatch if not line.startswith(("--time", "--signal"))]
    run = start(slurm, serving(sbatch=(*base, "--time=00:01:00", "--signal=B:USR1@50")))
    until(run, "serving")
    until(run, "time_limit", timeout=70)
    since = time.monotonic()
    run.job.wait(timeout=30)
    case = Case("serving", "time limit", 78, "time_limit", r"the time limit is near \(USR1\)", seconds=8)
    judge(run, case, since, leftovers)


ENDS = tuple(
    Case(named, "a step exits 9", code, stage, "bad_0 on node1 ended with 9", seconds=5)
    for stage, named, code in (
        ("infra", "infra start", 73),
        ("worker", "worker start", 74),
        ("frontend", "frontend start", 75),
    )
)


@pytest.mark.parametrize("case", ENDS, ids=lambda case: case.group)
def test_a_step_that_ends_in_each_stage(slurm: Cluster, case: Case) -> None:
    """The first words of the report are the step, its node and its code; its last log lines follow."""
    leftovers = Leftovers(slurm)
    bad = step("bad_0", case.group, words("bash", "-c", "sleep 1; echo no such device; exit 9"), nodes=(1,))
    good = (tells("nats_0", "infra", 0), tells("prefill_0", "worker", 0))
    run = start(slurm, plan(*good, bad, stop_timeout_s=STOP_S))
    until(run, "ERROR")
    since = time.monotonic()
    run.job.wait(timeout=30)
    assert "no such device\n" in log(run)
    judge(run, case, since, leftovers)


FAILED = '{"completed": 0, "total_output_tokens": 0, "errors": ["refused", "refused"]}'
BENCH: tuple[tuple[Case, str], ...] = (
    (Case("benchmark", "the client exits 3", 3, "benchmark", "benchmark failed with 3; .*", seconds=11), "exit 3"),
    (Case("benchmark", "the client has zero tokens", 80, "no_result", "benchmark left no usable result; .*", seconds=11), 'echo \'{"total_output_tokens": 0}\' >"$0"'),
    (Case("benchmark", "the client has no result", 80, "no_result", "benchmark left no usable result; .*", seconds=11), "true"),
    (Case("benchmark", "all requests of the client failed", 80, "no_result", "benchmark left no usable result; .*", seconds=11), f'echo \'{FAILED}\' >"$0"'),
)  # fmt: skip


@pytest.mark.parametrize(
    ("case", "script"), BENCH, ids=lambda value: getattr(value, "fault", "").replace(" ", "_")
)
def test_a_benchmark_without_a_result(slurm: Cluster, case: Case, script: str) -> None:
    """Its own code, or 80 if it claims success without tokens."""
    leftovers = Leftovers(slurm)
    client = benchmark(run("b", "bash", "-c", f"sleep 1; {script}", result="r.json"))
    job = start(slurm, serving(client))
    until(job, "benchmark runs")
    since = time.monotonic()
    job.job.wait(timeout=40)
    judge(job, case, since, leftovers)


@pytest.mark.row("stopping", "a worker ignores TERM")
def test_a_deaf_worker_is_killed_at_the_deadline(slurm: Cluster) -> None:
    """What ignores TERM is killed when the time is over; directories in /tmp that it could not remove go, too."""
    leftovers = Leftovers(slurm)
    script = "trap '' TERM; echo up; while :; do sleep 0.2; done"
    scratch = words("setup::scratch", "/tmp/srtplan-deaf")  # noqa: S108 -- on a node of the test's own
    deaf = step("deaf_0", "worker", words("bash", "-c", script), nodes=(1,), preamble=(scratch,))
    job = start(slurm, serving(deaf))
    until(job, "serving")
    until_up(job, "deaf_0", *ALL)
    since = time.monotonic()
    stop(slurm, job)
    job.job.wait(timeout=40)
    slurm.run(["rm", "-rf", "/tmp/srtplan-deaf"], node="node1")  # noqa: S108 -- not named after the job
    assert "killing steps that did not stop in time: deaf_0\n" in log(job)
    case = Case("stopping", "a worker ignores TERM", 79, "cancelled", "received USR1", seconds=STOP_S + 6)
    judge(job, case, since, leftovers)


def mine(left: list[str], job: Run) -> list[str]:
    """What is left, without the directory of a supervisor that was killed."""
    return [line for line in left if f": file /tmp/srtplan-{job.job.id}-job." not in line]


@pytest.mark.row("serving", "SIGKILL of job.sh")
def test_sigkill_of_the_supervisor(slurm: Cluster) -> None:
    """Slurm ends the steps of a job whose script was killed; the next job on the same nodes and ports finds nothing of it."""
    leftovers = Leftovers(slurm)
    job = start(slurm, serving())
    until(job, "serving")
    until_up(job, *ALL)
    since = time.monotonic()
    slurm.run(["scancel", "--batch", "--signal=KILL", str(job.job.id)])
    job.job.wait(timeout=40)
    took = time.monotonic() - since
    left = leftovers()
    assert mine(left, job) == []
    assert left, "the directory that docs/reference/failures.md speaks of"
    assert job.job.exit_code == 137
    assert took < 15 + noise_s(took)
    table.compare(table.Row("serving", "SIGKILL of job.sh", "Slurm", "137", "-", "-", f"{took:.1f}"))


LISTENS = (
    "import socket, time, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "s = socket.create_server(('', 4222)); print('up', flush=True); time.sleep(600)"
)


def test_the_next_job_finds_nothing_of_a_killed_one(slurm: Cluster) -> None:
    """Slurm gives its nodes away when even a deaf step of it is gone: the next job finds its ports free."""
    leftovers = Leftovers(slurm)
    deaf = step("nats_0", "infra", words("python3", "-c", LISTENS), nodes=(0,))
    first = start(slurm, plan(deaf, stop_timeout_s=STOP_S))
    until(first, "serving")
    until_up(first, "nats_0")
    slurm.run(["scancel", "--batch", "--signal=KILL", str(first.job.id)])
    check = PreflightCheck(kind="port", subject="4222", nodes=(0,), why="nats_0")
    after = plan(tells("nats_0", "infra", 0), tells("decode_0", "worker", 1), preflight=(check,))
    job = start(slurm, after, f"--nodelist={first.job.record['NodeList']}")
    until(job, "serving")
    assert first.job.state == "FAILED"
    assert leftovers(of=lambda line: "step" in line and f" {first.job.id}." in line) == []
    stop(slurm, job)
    job.job.wait(timeout=30)
    assert job.status["class"] == "cancelled"
    assert mine(leftovers(), first) == []


MISSING = (
    Case("preflight", "model.path is missing on one node", 72, "preflight", "node1: model.path: /tmp/model does not exist", seconds=8),
    Case("preflight", "the image is missing on one node", 72, "preflight", "node1: model.container: /tmp/image.sqsh does not exist", seconds=8),
)  # fmt: skip


@pytest.mark.parametrize("case", MISSING, ids=lambda case: case.id)
def test_what_is_missing_on_one_node(slurm: Cluster, case: Case) -> None:
    """A path that one node lacks is found before anything starts; the node and the path are named."""
    leftovers = Leftovers(slurm)
    _, why, path = case.cause.removesuffix(" does not exist").split(": ")
    kind = "dir" if why == "model.path" else "file"
    slurm.run(["mkdir" if kind == "dir" else "touch", path], node="node0")
    check = PreflightCheck(kind=kind, subject=path, nodes=(0, 1), why=why)
    since = time.monotonic()
    job = start(slurm, serving(preflight=(check,)))
    job.job.wait(timeout=30)
    slurm.run(["rm", "-r", path], node="node0")
    assert not any(e["event"] == "step" for e in job.events)
    judge(job, case, since, leftovers)


@pytest.mark.row("preflight", "a stale NATS listens on 4222")
def test_a_port_that_another_process_holds(slurm: Cluster) -> None:
    """A stale server on a planned port: preflight names node, port, step and holder."""
    leftovers = Leftovers(slurm)
    check = PreflightCheck(kind="port", subject="4222", nodes=(0,), why="nats_0")
    stale = slurm.start(["python3", "-c", LISTENS], node="node0")
    try:
        assert stale.stdout is not None
        assert stale.stdout.readline() == "up\n"
        since = time.monotonic()
        job = start(slurm, serving(preflight=(check,)))
        job.job.wait(timeout=30)
    finally:
        slurm.run(["pkill", "-KILL", "-f", "create_server"], node="node0", check=False)
        stale.communicate(timeout=60)
    cause = r"node0: port 4222 \(nats_0\) is in use by python3\S* \(pid \d+\)"
    case = Case("preflight", "a stale NATS listens on 4222", 72, "preflight", cause, seconds=8)
    judge(job, case, since, leftovers)
