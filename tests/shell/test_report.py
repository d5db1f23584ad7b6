"""Reports to status services: content, order, and that a job never waits for a silent service."""

from __future__ import annotations

import json
import re
import socket
import time

import pytest
from attrs import evolve
from busy import noise_s
from plans import benchmark, frontend, gates, nats, plan, run, worker
from shell_lab import Lab, in_library
from status_service import ADDRESS, StatusService

from srtplan.ir.plan import Plan, PlanFile, Probe
from srtplan.ir.shell import Lit

FACTS = {"model": {"path": "/models/m"}, "engine": "mocker"}
UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.fixture
def lab(stand_in_lab: Lab) -> Lab:
    """Jobs on the stand-ins: a service of this machine is out of reach for the nodes of a cluster."""
    return stand_in_lab


def reporting(made: Plan, *urls: str) -> Plan:
    """The plan, with services to report to."""
    file = PlanFile(path="report.json", content=Lit(json.dumps(FACTS) + "\n"))
    return evolve(made, reports=urls, files=(*made.files, file))


def short(*command: str) -> Plan:
    """A job with every stage."""
    return plan(nats(), worker("prefill_0"), frontend(), benchmark(run("b", *(command or ("true",)))))


def test_every_stage_is_reported_in_order(lab: Lab) -> None:
    """Start, stages and end are reported to every service, under srtctl's names."""
    with StatusService() as one, StatusService() as two:
        code, job = lab.run(reporting(short(), one.url, f"{two.url}/base"))
    assert code == 0
    assert one.said() == [
        ("starting", "starting"),
        ("starting", "head_infrastructure"),
        ("workers", "workers"),
        ("frontend", "frontend"),
        ("benchmark", "benchmark"),
        ("completed", "cleanup"),
    ]
    assert one.reports == two.reports
    assert {path for _, path, _ in one.heard} == {f"/api/jobs/{job.id}"}
    assert {path for _, path, _ in two.heard} == {f"/base/api/jobs/{job.id}"}


def test_the_first_and_last_report_have_more_members(lab: Lab) -> None:
    """The first report has metadata, the last the exit code; all times are in UTC."""
    with StatusService() as service:
        lab.run(reporting(short("bash", "-c", "exit 5"), service.url))
    first, last = service.reports[0], service.reports[-1]
    assert first["metadata"] == {**FACTS, "head_node": "node0"}
    assert first["message"] == "Job started on node0"
    assert (last["status"], last["exit_code"]) == ("failed", 5)
    assert "failed with 5" in last["message"]
    for text in (first["started_at"], last["completed_at"], *(r["updated_at"] for r in service.reports)):
        assert UTC.fullmatch(text), text


def test_the_end_is_reported_after_the_cleanup(lab: Lab) -> None:
    """The last report is sent after all steps have ended."""
    with StatusService() as service:
        _, job = lab.run(reporting(short(), service.url))
    kinds = [e.get("state") or e["event"] for e in job.events]
    assert service.said()[-1] == ("completed", "cleanup")
    assert len(kinds) - 1 - kinds[::-1].index("ended") < kinds.index("end")


def test_a_time_limit_is_a_status_of_its_own(lab: Lab) -> None:
    """USR1 near the end of the job's time is reported as timeout, not as a failure."""
    made = evolve(
        plan(nats(), worker("prefill_0")),
        sbatch=("--nodes=2", "--time=00:01:00", "--signal=B:USR1@30"),
    )
    with StatusService() as service:
        job = lab.submit(reporting(made, service.url))
        job.await_line("serving acme/tiny")
        job.signal("USR1")
        assert job.wait() == 78
    assert service.said()[-2:] == [("benchmark", "benchmark"), ("timeout", "cleanup")]


def test_a_failed_health_check_is_reported(lab: Lab) -> None:
    """A failed health check is reported with srtctl's message before the end."""
    probe = Probe(step="frontend_0", type="http", node=0, port=9, gate="health", path="/health")
    health = gates(health=2)
    made = plan(nats(), worker("prefill_0"), frontend(), probes=(probe,), gates=health)
    with StatusService() as service:
        code, _ = lab.run(reporting(made, service.url))
    assert code == 76
    assert service.said()[-2:] == [("failed", "benchmark"), ("failed", "cleanup")]
    assert service.reports[-2]["message"].startswith("Workers failed health check: ")


def test_a_failed_preflight_is_reported(lab: Lab) -> None:
    """A job that starts no steps still reports start and end."""
    made = evolve(short(), nodes=evolve(short().nodes, total=3))
    with StatusService() as service:
        code, _ = lab.run(reporting(made, service.url))
    assert code == 72
    assert service.said() == [("starting", "starting"), ("failed", "cleanup")]


def test_an_unreachable_service_does_not_affect_the_job(lab: Lab) -> None:
    """A refused connection is one warning in the log and does not affect the job."""
    with socket.socket() as taken:
        taken.bind((ADDRESS, 0))
        url = f"http://{ADDRESS}:{taken.getsockname()[1]}"
        before = time.monotonic()
        code, job = lab.run(reporting(short(), url))
    assert code == 0
    assert time.monotonic() - before < 20 + noise_s()
    assert job.log.count("rejected a report") == 1


def test_a_silent_service_delays_the_end_by_seconds_only(lab: Lab) -> None:
    """A service that never answers delays only the end of the job, by the timeout of the last report."""
    with socket.socket() as deaf:
        deaf.bind((ADDRESS, 0))
        deaf.listen(50)
        code, job = lab.run(reporting(short(), f"http://{ADDRESS}:{deaf.getsockname()[1]}"))
    assert code == 0
    times = {e["stage"]: e["t"] for e in job.events if e["event"] == "stage"}
    assert times["benchmark"] - times["infra"] < 5 + noise_s()
    end = next(e for e in job.events if e["event"] == "end")
    assert job.status["t"] - end["t"] <= 0


def test_a_slow_service_gets_the_last_report(lab: Lab) -> None:
    """Of several pending reports to a slow service only the newest is sent."""
    with StatusService(delay=2.5) as service:
        code, _ = lab.run(reporting(short("sleep", "1"), service.url))
    assert code == 0
    assert service.said()[-1] == ("completed", "cleanup")
    assert len(service.said()) < 6


def test_a_rejected_report_is_logged_once(lab: Lab) -> None:
    """A service that rejects reports is logged once."""
    with StatusService(status=404) as service:
        code, job = lab.run(reporting(short(), service.url))
    assert code == 0
    assert job.log.count("(HTTP status 404)") == 1


def test_reports_can_be_switched_off(lab: Lab) -> None:
    """SRTPLAN_REPORTS=off, which a rehearsal sets, disables reports."""
    with StatusService() as service:
        lab.run(reporting(short(), service.url), SRTPLAN_REPORTS="off")
    assert service.heard == []


def test_a_killed_job_leaves_no_sender() -> None:
    """After SIGKILL of job.sh its senders exit."""
    script = (
        'JOB_ID=7 SCRATCH="$(mktemp -d)" REPORT_TO=(http://127.0.0.1:9)\n'
        'report::stage preflight; rm -r "${SCRATCH}"; echo "pid ${REPORT_PID[*]}"; kill -KILL $$'
    )
    done = in_library(script, timeout=30)  # returns when no process holds its output
    assert done.returncode == -9
    assert b"pid " in done.stdout
