"""The failure matrix on a real Slurm: one fault per stage at least, and every one that only Slurm can bring about."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import table
from attrs import evolve, frozen
from bundles import Run, submit
from plans import benchmark, plan, run, step
from slurm_cluster.client import Cluster, eventually
from slurm_cluster.leftovers import Leftovers
from trials import readable

from srtplan.bundle.render import render
from srtplan.bundle.write import write
from srtplan.ir.plan import Plan, PreflightCheck, Step
from srtplan.ir.shell import words
from srtplan.plan.serialise import to_json

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster")]

STOP_S = 6
TELLS = "trap 'echo got TERM; exit 0' TERM; echo up; while :; do sleep 0.2; done"
"""An engine that ends in order when it is asked to."""


@pytest.fixture(scope="session")
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


def tells(name: str, stage: str, node: int) -> Step:
    """A step that says when it was asked to end."""
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
    """Wait until the log says something."""
    eventually(lambda: text in log(run), timeout, f"{text!r} in\n{log(run)}")


def until_up(run: Run, *names: str) -> None:
    """Wait until steps have said that they are up."""

    def are_up() -> bool:
        return all("up" in _read(run.directory / "logs" / f"{name}.out") for name in names)

    eventually(are_up, 30, f"{names} are up")


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


ALL = ("nats_0", "prefill_0", "decode_0", "frontend_0")


@frozen
class Case:
    """What breaks, and what must come of it (``cause`` is a pattern)."""

    stage: str
    fault: str
    code: int
    group: str
    cause: str
    within: float


def judge(run: Run, case: Case, since: float, left: list[str]) -> None:
    """Code, class, cause, time, leftovers; then the row of the page."""
    took = time.monotonic() - since
    assert run.status["code"] == case.code, log(run)
    assert run.status["class"] == case.group, log(run)
    cause = run.status["cause"]
    assert re.fullmatch(case.cause, cause), f"{cause!r}\n{log(run)}"
    first = re.search(r"^\S+ ERROR (.*)$", log(run), re.MULTILINE)
    assert first is not None
    assert first[1] == f"{case.group}: {cause}"
    assert took < case.within, f"{took:.1f} s\n{log(run)}"
    assert left == [], log(run)
    table.compare(
        table.Row(case.stage, case.fault, "Slurm", str(case.code), case.group, readable(cause), f"{took:.1f}")
    )


def step_id(run: Run, name: str) -> str:
    """The Slurm step id of a step."""
    return (run.directory / "run" / "steps" / f"{name}.id").read_text().strip()


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


def stop(cluster: Cluster, run: Run) -> None:
    """./stop JOBID."""
    cluster.run([run.folder / "bundle" / "stop", str(run.job.id)])


def term_twice(cluster: Cluster, run: Run) -> None:
    """TERM to job.sh, and again."""
    run.job.signal("TERM", "--batch")
    until(run, "stop: TERM to")
    cluster.run(["scancel", "--batch", "--signal=TERM", str(run.job.id)], check=False)


Break = Callable[[Cluster, Run], None]
FAULTS: tuple[tuple[Case, Break], ...] = (
    (Case("serving", "a step is killed", 74, "worker", "decode_0 on node1 ended with 137", 5), kill_step),
    (Case("serving", "an srun is killed", 74, "worker", "decode_0 on node1 ended with 137", 10), kill_srun),
    (Case("serving", "scancel", 79, "cancelled", "received TERM", 9), cancel),
    (Case("serving", "stop", 79, "cancelled", "received USR1", 6), stop),
    (Case("serving", "TERM twice", 79, "cancelled", "received TERM", 6), term_twice),
)  # fmt: skip


@pytest.mark.parametrize(
    ("case", "do"), FAULTS, ids=lambda value: getattr(value, "fault", "").replace(" ", "_")
)
def test_a_fault_while_serving(slurm: Cluster, case: Case, do: Break) -> None:
    """Each fault ends the job with its own class, in time, and leaves nothing; all others are stopped gently."""
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
        gentle = [name for name in ALL if "got TERM" in _read(run.directory / "logs" / f"{name}.out")]
        assert set(gentle) >= {"nats_0", "prefill_0", "frontend_0"}, "a TERM reaches the engine's own handler"


def test_the_time_limit(slurm: Cluster) -> None:
    """Slurm's warning before the limit ends the job in order, before the limit does."""
    leftovers = Leftovers(slurm)
    base = [line for line in serving().sbatch if not line.startswith(("--time", "--signal"))]
    run = start(slurm, serving(sbatch=(*base, "--time=00:01:00", "--signal=B:USR1@50")))
    until(run, "serving")
    until(run, "time_limit", timeout=70)
    since = time.monotonic()
    run.job.wait(timeout=30)
    judge(
        run,
        Case("serving", "time limit", 78, "time_limit", r"the time limit is near \(USR1\)", 8),
        since,
        leftovers(),
    )


def fails(stage: str, script: str) -> Plan:
    """A job of which one step of a stage ends."""
    bad = step("bad_0", stage, words("bash", "-c", script), nodes=(1,))
    good = (tells("nats_0", "infra", 0), tells("prefill_0", "worker", 0))
    return plan(*good, bad, stop_timeout_s=STOP_S)


@pytest.mark.parametrize(
    ("stage", "named", "code"), [("infra", "infra start", 73), ("worker", "worker start", 74), ("frontend", "frontend start", 75)]
)  # fmt: skip
def test_a_step_that_ends_in_each_stage(slurm: Cluster, stage: str, named: str, code: int) -> None:
    """The first words of the report are the step, its node and its code; its last log lines follow."""
    leftovers = Leftovers(slurm)
    run = start(slurm, fails(stage, "sleep 1; echo no such device; exit 9"))
    until(run, "ERROR")
    since = time.monotonic()
    run.job.wait(timeout=30)
    assert "no such device\n" in log(run)
    judge(
        run, Case(named, "a step exits 9", code, stage, "bad_0 on node1 ended with 9", 5), since, leftovers()
    )


BENCH: tuple[tuple[str, str, int, str, str], ...] = (
    ("exits 3", "exit 3", 3, "benchmark", "benchmark failed with 3; .*"),
    ("has zero tokens", 'echo \'{"total_output_tokens": 0}\' >"$0"', 80, "no_result", "benchmark left no usable result; .*"),
    ("has no result", "true", 80, "no_result", "benchmark left no usable result; .*"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("what", "script", "code", "group", "cause"), BENCH, ids=lambda v: str(v).replace(" ", "_")[:12]
)
def test_a_benchmark_that_is_none(
    slurm: Cluster, what: str, script: str, code: int, group: str, cause: str
) -> None:
    """Its own code, or 80 if it claims success without tokens."""
    leftovers = Leftovers(slurm)
    client = benchmark(run("b", "bash", "-c", f"sleep 1; {script}", result="r.json"))
    job = start(slurm, serving(client))
    until(job, "benchmark runs")
    since = time.monotonic()
    job.job.wait(timeout=40)
    judge(job, Case("benchmark", f"the client {what}", code, group, cause, 11), since, leftovers())


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
    assert "killed, for it still ran: deaf_0\n" in log(job)
    judge(
        job,
        Case("stopping", "a worker ignores TERM", 79, "cancelled", "received USR1", STOP_S + 6),
        since,
        leftovers(),
    )


def test_sigkill_of_the_supervisor(slurm: Cluster) -> None:
    """Slurm ends the steps of a job whose script was killed; nothing of them stays."""
    leftovers = Leftovers(slurm)
    job = start(slurm, serving())
    until(job, "serving")
    until_up(job, *ALL)
    since = time.monotonic()
    slurm.run(["scancel", "--batch", "--signal=KILL", str(job.job.id)])
    job.job.wait(timeout=40)
    took = time.monotonic() - since
    left = [line for line in leftovers() if ": file /tmp/tmp." not in line]
    assert left == []
    assert job.job.exit_code == 137
    assert took < 15
    table.compare(table.Row("serving", "SIGKILL of job.sh", "Slurm", "137", "-", "-", f"{took:.1f}"))


def test_what_is_missing_on_one_node(slurm: Cluster) -> None:
    """A path that one node lacks is found before anything starts; the node and the path are named."""
    leftovers = Leftovers(slurm)
    slurm.run(["mkdir", "/tmp/model"], node="node0")  # noqa: S108 -- private to the node
    check = PreflightCheck(kind="dir", subject="/tmp/model", nodes=(0, 1), why="model.path")  # noqa: S108
    since = time.monotonic()
    job = start(slurm, serving(preflight=(check,)))
    job.job.wait(timeout=30)
    slurm.run(["rmdir", "/tmp/model"], node="node0")  # noqa: S108
    assert not any(e["event"] == "step" for e in job.events)
    cause = "node1: model.path: /tmp/model does not exist"
    judge(
        job,
        Case("preflight", "model.path is missing on one node", 72, "preflight", cause, 8),
        since,
        leftovers(),
    )


def test_a_port_that_another_process_holds(slurm: Cluster) -> None:
    """A stale server on a planned port: preflight names node, port, step and holder."""
    leftovers = Leftovers(slurm)
    script = (
        "import socket, time; s = socket.create_server(('', 4222)); print('up', flush=True); time.sleep(60)"
    )
    stale = slurm.start(["python3", "-c", script], node="node0")
    try:
        assert stale.stdout is not None
        assert stale.stdout.readline() == "up\n"
        since = time.monotonic()
        job = start(
            slurm, serving(preflight=(PreflightCheck(kind="port", subject="4222", nodes=(0,), why="nats_0"),))
        )
        job.job.wait(timeout=30)
    finally:
        stale.terminate()
        stale.communicate(timeout=10)
    cause = r"node0: port 4222 \(nats_0\) is in use by python3\S* \(pid \d+\)"
    judge(
        job, Case("preflight", "a stale NATS listens on 4222", 72, "preflight", cause, 8), since, leftovers()
    )


def test_a_full_log_directory(slurm: Cluster) -> None:
    """A full disk does not keep the supervisor from noticing, stopping and reporting with the right code."""
    folder = slurm.shared / "full"
    folder.mkdir()
    for host in ("", *slurm.nodes):
        slurm.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], node=host)
    try:
        dies = step("dies_0", "worker", words("bash", "-c", "sleep 6; exit 4"), nodes=(1,))
        job = start(slurm, serving(dies), env={"SRTPLAN_OUTPUT": str(folder)})
        job.job.wait(timeout=40)
        assert job.job.exit_code in (72, 74), job.job.output
        assert "ERROR" in job.job.output
    finally:
        for host in ("", *slurm.nodes):
            slurm.run(["umount", folder], node=host)
    table.compare(
        table.Row("preflight", "log directory is full", "Slurm", str(job.job.exit_code), "-", "-", "-")
    )


def node_down(cluster: Cluster, how: str) -> None:
    """Take node1 away from Slurm."""
    if how == "power off":
        cluster.power_off("node1")
    elif how == "link cut":
        cluster.link_down("node1")
    elif how == "slurmd gone":
        cluster.run(["pkill", "-KILL", "-x", "slurmd"], node="node1")
    else:
        cluster.run(["scontrol", "update", "nodename=node1", "state=down", "reason=test"])


@pytest.mark.parametrize("how", ["set down", "power off", "link cut", "slurmd gone"])
def test_a_lost_node_is_told_from_a_dead_worker(raise_cluster: Callable[..., Cluster], how: str) -> None:
    """However a node goes, the job ends with 77, and says that it was the node."""
    cluster = raise_cluster("--conf=KillWait=10", "--conf=SlurmdTimeout=4")
    job = start(cluster, evolve(serving(), stop_timeout_s=STOP_S))
    until(job, "serving")
    until_up(job, *ALL)
    since = time.monotonic()
    node_down(cluster, how)
    until(job, "end class=", timeout=60)
    took = time.monotonic() - since
    assert (job.status["code"], job.status["class"]) == (77, "node"), job.explain()
    table.compare(
        table.Row(
            "serving", f"node lost: {how}", "Slurm", "77", "node", "Slurm lost a node: ...", f"{took:.1f}"
        )
    )
