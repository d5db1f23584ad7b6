"""While a job serves: servers that stop being ready, and services of another job."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import evolve
from plans import benchmark, frontend, gates, nats, plan, run, step, tcp, worker
from shell_lab import Job, Lab
from slurm_cluster.client import eventually

from srtplan.ir.plan import Plan, Probe
from srtplan.ir.shell import Words, ip, words

SERVER = """
import http.server, pathlib, sys, time
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = pathlib.Path(sys.argv[3]).read_bytes()
        if body == b"silence": time.sleep(8)
        self.send_response(200); self.end_headers(); self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), H).serve_forever()
"""
BACKEND = {"component": "backend", "endpoint": "generate"}


def served(answer: Path, port: int, *, ends: bool = True) -> Plan:
    """A frontend that takes its health from a file, and a long benchmark."""
    answer.write_text(json.dumps({"instances": [BACKEND]}))
    server = frontend(words("python3", "-c", SERVER, ip(0), port, str(answer)))
    probe = Probe(
        step="frontend_0", type="dynamo_health", node=0, port=port, gate="health", path="/health",
        expect=(("prefill", 0), ("decode", 1)),
    )  # fmt: skip
    gate = gates(health=30)
    last = (benchmark(run("b", "sleep", "600")),) if ends else ()
    return plan(nats(), worker("decode_0"), server, *last, probes=(probe,), gates=gate)


def start(lab: Lab, port: int, stage: str, **env: str) -> tuple[Job, Path]:
    """Such a job in its last stage, and the file of its health."""
    answer = lab.folder / "answer.json"
    job = lab.submit(served(answer, port, ends=stage == "benchmark"), **env)
    eventually(lambda: stage in job.log and job.status["stage"] == stage, 30, stage)
    return job, answer


@pytest.mark.parametrize("stage", ["benchmark", "serving"])
def test_a_server_that_stops_being_ready_ends_the_job(lab: Lab, stage: str) -> None:
    """A worker that disappears while the job serves is logged at once, and ends the job after the timeout."""
    job, answer = start(lab, 18100, stage, SRTPLAN_UNHEALTHY_AFTER_S="3")
    answer.write_text('{"instances": []}')
    job.await_line("WARN  stopped being ready: frontend_0 (prefill 0/0 decode 0/1)")
    assert job.wait(timeout=40) == 76
    assert job.status["class"] == "unhealthy"
    assert "s while serving: frontend_0 (prefill 0/0 decode 0/1)" in job.status["cause"]


def test_a_short_outage_does_not_end_the_job(lab: Lab) -> None:
    """A short outage is logged and does not end the job."""
    job, answer = start(lab, 18101, "serving", SRTPLAN_UNHEALTHY_AFTER_S="8")
    for _ in range(2):
        answer.write_text('{"instances": []}')
        job.await_line("stopped being ready")
        answer.write_text(json.dumps({"instances": [BACKEND]}))
        job.await_line("INFO  ready again")
    job.signal("USR1")
    assert job.wait() == 79


def test_a_busy_server_may_answer_late(lab: Lab) -> None:
    """A server that answers too late may fail longer than one that reports missing workers."""
    job, answer = start(lab, 18102, "serving", SRTPLAN_UNHEALTHY_AFTER_S="2")
    answer.write_text("silence")
    job.await_line("stopped being ready: frontend_0 (no answer in 5 s)")
    answer.write_text(json.dumps({"instances": [BACKEND]}))
    job.await_line("ready again")
    answer.write_text("silence")
    assert job.wait(timeout=90) == 76
    assert job.log.count("stopped being ready") == 2


def test_the_watch_can_be_disabled(lab: Lab) -> None:
    """With SRTPLAN_UNHEALTHY_AFTER_S=0 the job watches only the steps."""
    job, answer = start(lab, 18103, "serving", SRTPLAN_UNHEALTHY_AFTER_S="0")
    answer.write_text('{"instances": []}')
    job.signal("USR1")
    assert job.wait() == 79
    assert "stopped being ready" not in job.log


NATS = """
import socket, sys, time
time.sleep(float(sys.argv[3]))
s = socket.create_server((sys.argv[1], int(sys.argv[2])), reuse_port=False)
while True:
    c, _ = s.accept(); c.sendall(b'INFO {"server_id":"A", "server_name":"' + sys.argv[4].encode() + b'"}\\r\\n')
"""
ETCD = (
    'import pathlib, sys; pathlib.Path(sys.argv[3]).write_text(\'{"members":[{"name":"\' + sys.argv[4] + \'"}]}\')\n'
    + SERVER
)


def service(kind: str, port: int, answer: Path, name: str) -> Words:
    """A server that answers like NATS or etcd with a name; ``${JOB_ID}`` in it is the id of the job."""
    program = NATS if kind == "nats" else ETCD
    third = "0" if kind == "nats" else str(answer)
    script = 'exec python3 -c "$0" "$1" "$2" "$3" "${4//%j/$SLURM_JOB_ID}"'
    return words("bash", "-c", script, program, ip(0), port, third, name)


@pytest.mark.parametrize("kind", ["nats", "etcd"])
def test_a_service_of_another_job_is_not_ready(lab: Lab, kind: str) -> None:
    """A server on the port must have the name of this job; one of another job is not ready."""
    answer = lab.folder / "members.json"
    port = 18104 if kind == "nats" else 18105
    probe = evolve(tcp("nats_0", port), type=kind)  # type: ignore[arg-type]
    for name, code, patience in (("srtplan-%j", 0, 60), ("srtplan-1%j", 73, 5), ("srtplan-", 73, 5)):
        own = step("nats_0", "infra", service(kind, port, answer, name))
        got, job = lab.run(
            plan(own, benchmark(run("b", "true")), probes=(probe,), gates=gates(infra=patience))
        )
        assert got == code, job.log
        assert ("the server does not belong to this job" in job.log) == (code == 73)
