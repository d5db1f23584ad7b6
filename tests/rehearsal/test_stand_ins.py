"""What runs in place of programs: what the Plan declares, and the generic server and client where it declares nothing."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from plans import benchmark, frontend, plan, run
from rehearsing import logs

from srtplan.bundle.render import render
from srtplan.bundle.write import write
from srtplan.ir.plan import Plan, PreflightCheck, Probe, Run, StandIn
from srtplan.ir.shell import RUN_DIR, word, words
from srtplan.plan.show.serialise import to_json
from srtplan.rehearsal import RehearsalError, describe, rehearse, stand_ins

PROBE = Probe(step="frontend_0", type="http", node=0, port=8000, path="/health", gate="health")
UNKNOWN = words("lmdeploy", "serve", "api_server", "/model")


def rehearsed(made: Plan, folder: Path, *, settings: dict[str, str] | None = None) -> tuple[int, str]:
    """Rehearse a Plan; its exit code and its output."""
    write(render(made, {"plan.json": to_json(made)}), folder / "bundle")
    out = io.StringIO()
    code = rehearse(folder / "bundle", work=folder / "work", stdout=out, settings=settings, timeout=60)
    return code, out.getvalue()


def client(*argv: str, report: str | None = None) -> Run:
    """A run of a client, whose result is its last word."""
    path = word(RUN_DIR, "/results/b.txt")
    return Run(
        name="b", argv=words(*argv, path), result=path, stand_in=StandIn(behavior="client", report=report)
    )


def test_an_unknown_program_is_a_server_and_an_unknown_client_asks_it(tmp_path: Path) -> None:
    """The server listens where the preflight says and passes its probe; the client writes the report of its plugin."""
    runs = benchmark(client("mybench", "--out", report="42 requests\n"))
    free = tuple(
        PreflightCheck(kind="port", subject=port, nodes=(0,), why="frontend_0") for port in ("8000", "8001")
    )
    code, said = rehearsed(plan(frontend(UNKNOWN), runs, probes=(PROBE,), preflight=free), tmp_path)
    assert code == 0, said
    for port in ("8000", "8001"):
        assert f"listening on port {port}" in logs(tmp_path / "work", "frontend_0")
    (result,) = (tmp_path / "work").glob("*/attempt_0/results/b.txt")
    assert result.read_text() == "42 requests\n"
    assert "output_throughput" in logs(tmp_path / "work", "benchmark")


def test_a_step_listens_where_the_plan_says() -> None:
    """Ports of the preflight, else of its processes on the node, else of its probes."""
    step = {"name": "agg_0", "nodes": [0], "mode": "agg", "endpoint": 0, "rank": None}
    probed = {"steps": [step], "probes": [{"step": "agg_0", "node": 0, "port": 1}]}
    process = {"mode": "agg", "endpoint": 0, "rank": 0, "node": 0, "ports": {"http": 2, "nccl": 3}}
    planned = probed | {"processes": [process]}
    check = {"kind": "port", "subject": "4", "nodes": [0], "why": "agg_0"}
    checked = planned | {"preflight": [check, check | {"subject": "5", "why": "other"}]}
    found = [describe.listening(made, "agg_0", 0) for made in (probed, planned, checked)]
    assert found == [[1], [2, 3], [4]]


def test_a_client_without_a_server_fails(tmp_path: Path) -> None:
    """Nothing listens at the public URL: the run fails, and so does the job."""
    code, _ = rehearsed(plan(benchmark(client("mybench")), preflight=()), tmp_path)
    assert code == 1
    assert "Connection refused" in logs(tmp_path / "work", "benchmark")


def test_a_run_that_declares_nothing_ends(tmp_path: Path) -> None:
    """It gets the client, not the server, and leaves a result."""
    own = benchmark(run("b", "mybench", result="b.txt", client=""))
    code, said = rehearsed(plan(frontend(UNKNOWN), own, probes=(PROBE,)), tmp_path)
    assert code == 0, said


def test_an_unknown_behavior_is_an_error_that_names_it(tmp_path: Path) -> None:
    """Neither an invented name nor that of a helper is a behavior."""
    for name in ("teapot", "_http"):
        made = plan(benchmark(Run(name="b", argv=words("x"), stand_in=StandIn(behavior=name))))
        with pytest.raises(RehearsalError, match=f"step 'benchmark': unknown behavior '{name}'.* aiperf, "):
            rehearsed(made, tmp_path / name)


def test_real_programs_run_where_the_settings_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keeper starts the same steps with the programs of this machine: only Slurm's commands are stand-ins."""
    program = tmp_path / "bin" / "mybench"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "really run on ${SLURMD_NODENAME}"\necho 1 >"$1"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    made = plan(benchmark(client("mybench")), preflight=())
    code, said = rehearsed(made, tmp_path / "real", settings={"programs": "real"})
    assert code == 0, said
    assert "really run on node0" in logs(tmp_path / "real" / "work", "benchmark")
    assert rehearsed(made, tmp_path / "simulated")[0] == 1
    assert "really run" not in logs(tmp_path / "simulated" / "work", "benchmark")


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ({"argv": ["lmdeploy", "x"]}, ["s lmdeploy server"]),
        ({"argv": ["python3", "-u", "-m", "a.b"]}, ["s a.b server"]),
        ({"argv": ["python3", "serve.py"]}, []),
        ({"argv": ["/opt/bin/server"]}, []),
        ({"argv": ["sh", "-c", "x"]}, []),
        ({"argv": ["sh"], "stand_in": {"behavior": "nginx"}}, ["s sh nginx"]),
        ({"argv": ["x"], "stand_in": {"behavior": "real"}}, []),
        (
            {"argv": ["numactl", "-m", "0", "mpi", "python3", "-m", "a.b"], "stand_in": {"wrappers": ["numactl", "mpi"]}},
            ["s a.b server", "s numactl wrapper mpi a.b python python3", "s mpi wrapper a.b python python3"],
        ),
        ({"runs": [{"argv": ["bench::slowed", "1", "--", "bench::aiperf", "r", "--", "aiperf"]}]}, ["s aiperf client"]),
        ({"runs": [{"argv": ["profile::start", "http"]}]}, []),
    ],
)  # fmt: skip
def test_the_program_of_a_command(command: dict[str, object], found: list[str]) -> None:
    """The first word, or Python's module; behind wrappers and functions of the library; what cannot be replaced runs."""
    declared = stand_ins.declared({"steps": [{"name": "s"} | command]})
    assert [f"{one.step} {one.program} {one.line.partition(' ')[2]}" for one in declared] == found


def test_the_text_of_a_custom_benchmark_finds_the_clients() -> None:
    """Its programs are not in the Plan: each client says by which names it is called."""
    text = {"argv": ["bash", "-lc", "aiperf profile"], "stand_in": {"behavior": "real"}}
    declared = stand_ins.declared({"steps": [{"name": "benchmark", "runs": [text]}]})
    names = {one.program for one in declared}
    assert {"aiperf", "lm_eval", "vllm", "sglang.bench_serving", "sglang.test.run_eval"} <= names
    assert {one.step for one in declared} == {"*"}


def test_the_plan_tells_the_stand_ins() -> None:
    """plan.json has what differs from the generic stand-in, and nothing of that."""
    steps = json.loads(to_json(plan(frontend(UNKNOWN), benchmark(client("mybench", report="x")))))["steps"]
    assert "stand_in" not in steps[0]
    assert steps[1]["runs"][0]["stand_in"] == {"behavior": "client", "report": "x"}
