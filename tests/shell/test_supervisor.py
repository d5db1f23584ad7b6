"""Whole jobs on the stand-in cluster: how and how soon each ends, and that nothing is left."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest
from attrs import evolve
from busy import noise_s
from plans import benchmark, frontend, gates, nats, plan, run, step, tcp, worker
from shell_lab import Job, Lab, in_library
from slurm_cluster.client import eventually

from srtplan.ir.plan import Plan, PreflightCheck, Probe, SrunOption, Step
from srtplan.ir.shell import Words, ip, word, words
from srtplan.ir.topology import Nodes

DEAF = words("bash", "-c", "trap '' TERM; while :; do sleep 0.2; done")


def sh(script: str) -> Words:
    """A command of a step: a short script."""
    return words("bash", "-c", script)


def serving(*steps: Step, **changes: object) -> Plan:
    """A plan that serves until a signal or a failure."""
    return plan(nats(), worker("prefill_0"), worker("decode_0", 1), frontend(), *steps, **changes)


def ended(job: Job, name: str) -> int:
    """The exit code of a step, from the events."""
    codes = [e["exit"] for e in job.events if e.get("step") == name and e.get("state") == "ended"]
    assert len(codes) == 1
    return int(codes[0])


@pytest.mark.parametrize(
    ("script", "code", "says"),
    [
        ("echo last words; exit 3", 74, "decode_1 on node1 ended with 3"),
        ("exit 0", 74, "decode_1 on node1 ended with 0"),
        ("kill -KILL $$", 74, "decode_1 on node1 ended with 137"),
    ],
)
def test_a_worker_that_ends_ends_the_job(lab: Lab, script: str, code: int, says: str) -> None:
    """A critical step that ends with any code, including 0, ends the job within seconds and is named as the cause."""
    job = lab.submit(
        serving(worker("decode_1", 1, sh(f"sleep 1; {script}")), benchmark(run("b", "sleep", "600")))
    )
    assert job.wait() == code
    assert f"ERROR worker: {says}" in job.log
    end = next(e for e in job.events if e["event"] == "stage" and e["stage"] == "stop")
    death = next(e for e in job.events if e.get("step") == "decode_1" and e.get("state") == "ended")
    assert end["t"] - death["t"] < 2 + noise_s()
    assert job.status["class"] == "worker"


def test_every_component_of_a_heterogeneous_job_stops_gracefully(lab: Lab) -> None:
    """A worker of the second component gets TERM, although its step id has another job id."""
    told = lab.folder / "told"
    engine = sh(f"trap 'echo gentle >{told}; exit 0' TERM; while :; do sleep 0.1; done")
    steps = [nats(), worker("decode_0", 1, engine)]
    placed = [
        evolve(s, srun=(*s.srun, SrunOption(name="het-group", value=word(str(s.nodes[0]))))) for s in steps
    ]
    made = evolve(
        plan(*placed),
        nodes=Nodes(total=2, infra=0, head=0, bench=0, workers=(1,), components=(1, 1)),
        sbatch=("--job-name=demo", "--nodes=1", "--time=10", "hetjob", "--nodes=1"),
    )
    job = lab.submit(made)
    job.await_line("steps started: 1")
    job.await_running(2)
    job.signal("USR1")
    assert job.wait() == 79
    assert told.read_text() == "gentle\n"
    assert "killing steps that did not stop" not in job.log
    assert "still lists" not in job.log
    assert ended(job, "decode_0") == 0
    ids = {e["step"]: e["id"].partition(".")[0] for e in job.events if e.get("state") == "running"}
    assert ids["nats_0"] == str(job.id) != ids["decode_0"]
    everything = lab.cluster.run(["squeue", "--noheader", "--steps", "--format=%i"]).stdout.split()
    assert [step_id for step_id in everything if step_id.partition(".")[0] in ids.values()] == []


def test_the_log_shows_the_end_of_the_failed_step(lab: Lab) -> None:
    """The job log shows the last 30 lines of the failed step, and of no other."""
    _, job = lab.run(
        serving(worker("decode_1", 1, sh("sleep 1; for i in {1..50}; do echo line $i; done; exit 1")))
    )
    assert "line 50\n" in job.log
    assert "line 30\n" in job.log
    assert "line 15\n" not in job.log
    assert job.log.count("last lines of") == 1


def test_a_log_without_line_breaks_does_not_hold_up_the_end(lab: Lab) -> None:
    """Only the end of a huge log is read: progress bars produce lines of hundreds of megabytes."""
    script = "sleep 1; head -c 150000000 /dev/zero | tr '\\0' x; printf '\\rlast words\\n'; exit 3"
    job = lab.submit(serving(worker("decode_1", 1, sh(script))))
    assert job.wait() == 74
    death = next(e for e in job.events if e.get("step") == "decode_1" and e.get("state") == "ended")
    end = next(e for e in job.events if e["event"] == "stage" and e["stage"] == "stop")
    assert end["t"] - death["t"] < 2 + noise_s()
    assert "\nlast words\n" in job.log
    assert len(job.log) < 20_000


@pytest.mark.parametrize(("stage", "code"), [("infra", 73), ("frontend", 75)])
def test_the_class_names_the_kind_of_step(lab: Lab, stage: str, code: int) -> None:
    """Infrastructure and frontends have their own exit codes."""
    got, _ = lab.run(serving(step("odd_0", stage, sh("sleep 1; exit 5")), tier_of(stage)))
    assert got == code


def tier_of(stage: str) -> Step:
    """A second step of a stage, which the job has to stop."""
    return step("other_0", stage, words("sleep", "1000"))


ALIVE = 'touch "$SRT_RUN_DIR/run/$SRT_STEP.up"; '
"""A step that can be seen."""
LOOKS = f'{ALIVE}until [[ -e "$SRT_RUN_DIR/run/dead" ]]; do sleep 0.05; done; '
"""One that waits for the death of decode_0."""


def dies_after(*steps: str) -> str:
    """A script that dies once these steps run."""
    waits = " && ".join(f'-e "$SRT_RUN_DIR/run/{name}.up"' for name in steps)
    return f'until [[ {waits} ]]; do sleep 0.05; done; touch "$SRT_RUN_DIR/run/dead"; '


def test_the_first_failure_is_the_cause(lab: Lab) -> None:
    """A client and a worker that fail after another worker died are not reported as the cause."""
    made = plan(
        nats(),
        worker("decode_0", 1, sh(dies_after("decode_1", "benchmark") + "sleep 0.1; exit 4")),
        worker("decode_1", 1, sh(LOOKS + "sleep 0.3; exit 9")),
        benchmark(run("b", "bash", "-c", LOOKS + "sleep 0.3; exit 9")),
    )
    code, job = lab.run(made)
    assert code == 74
    assert job.status["cause"].startswith("decode_0 ")


def test_a_client_that_notices_first_is_not_the_cause(lab: Lab) -> None:
    """The worker is the cause, even if the srun of the benchmark returns before that of the worker."""
    made = plan(
        nats(),
        worker("decode_0", 1, sh(dies_after("benchmark") + "sleep 1.5; exit 4")),
        benchmark(run("b", "bash", "-c", LOOKS + "exit 9")),
    )
    code, job = lab.run(made)
    assert code == 74
    assert job.status["cause"].startswith("decode_0 ")


def test_an_optional_step_may_end(lab: Lab) -> None:
    """The end of an optional step is only a warning."""
    extra = evolve(worker("extra_0", 0, sh("exit 4")), critical=False)
    code, job = lab.run(serving(extra, benchmark(run("b", "sleep", "2"))))
    assert code == 0
    assert "extra_0 ended with 4; the job continues without it" in job.log


@pytest.mark.parametrize(
    ("script", "code", "group"),
    [("exit 7", 7, "benchmark"), ("exit 75", 1, "benchmark"), ("kill $$", 143, "benchmark")],
)
def test_the_benchmarks_own_code_is_the_jobs(lab: Lab, script: str, code: int, group: str) -> None:
    """The job exits with the code of a failed benchmark, except for codes of job.sh itself."""
    got, job = lab.run(plan(nats(), benchmark(run("b", "bash", "-c", script))))
    assert got == code
    assert job.status["class"] == group


WHOLE = '{"total_output_tokens": 5, "completed": 1, "duration": 0.5, "mean_ttft_ms": 20.0}'


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (f"echo '{WHOLE}' >\"$0\"", 0),
        ('echo \'{"total_output_tokens": 0}\' >"$0"', 80),
        ('echo "{" >"$0"', 80),
        ("true", 80),
    ],
)
def test_success_needs_a_result(lab: Lab, script: str, code: int) -> None:
    """A benchmark that exits with 0 without tokens is not a success."""
    got, job = lab.run(plan(nats(), benchmark(run("b", "bash", "-c", script, result="r.json"))))
    assert got == code
    assert job.status["class"] == ("no_result" if code else "success")


def test_steps_stop_tier_by_tier(lab: Lab) -> None:
    """Frontends stop before workers, workers before infrastructure, and each gets TERM first."""
    note = "trap 'sleep 0.3; exit 0' TERM; while :; do sleep 0.05; done"
    made = plan(
        step("nats_0", "infra", sh(note)),
        worker("prefill_0", 0, sh(note)),
        worker("decode_0", 1, sh(note)),
        frontend(sh(note)),
        benchmark(run("b", "sleep", "1")),
    )
    code, job = lab.run(made)
    assert code == 0
    order = [e["step"] for e in job.events if e.get("state") == "ended"]
    assert order[0] == "benchmark"
    assert order[1] == "frontend_0"
    assert set(order[2:4]) == {"prefill_0", "decode_0"}
    assert order[4] == "nats_0"
    assert [ended(job, name) for name in order] == [0, 0, 0, 0, 0]


def test_a_step_that_ignores_term_is_killed(lab: Lab) -> None:
    """A worker that ignores TERM does not prevent others from stopping gracefully."""
    made = serving(worker("deaf_0", 1, DEAF), benchmark(run("b", "sleep", "1")), stop_timeout_s=4)
    code, job = lab.run(made)
    assert code == 0
    assert ended(job, "deaf_0") == 137
    assert ended(job, "nats_0") == 143
    assert "killing steps that did not stop in time: deaf_0" in job.log


@pytest.mark.parametrize(
    ("name", "code"), [("TERM", 79), ("INT", 79), ("USR1", 79), ("HUP", 79), ("QUIT", 79)]
)
def test_a_signal_ends_the_job_in_order(lab: Lab, name: str, code: int) -> None:
    """TERM, INT, the USR1 of `stop` and the HUP of a lost terminal are a cancellation."""
    job = lab.submit(serving())
    job.await_line("serving acme/tiny")
    job.signal(name)
    assert job.wait() == code
    assert job.status["class"] == "cancelled"
    assert job.log.count("stop: TERM to") == 3


def test_usr1_near_the_end_of_the_time_is_the_time_limit(lab: Lab) -> None:
    """The signal of #SBATCH --signal has its own exit code."""
    job = lab.submit(serving(sbatch=("--nodes=2", "--time=00:01:00", "--signal=B:USR1@30")))
    job.await_line("serving acme/tiny")
    job.signal("USR1")
    assert job.wait() == 78


@pytest.mark.parametrize(("limit", "says"), [(0, "stop"), (7200, "stop"), (100, "over")])
def test_usr1_without_a_time_limit_is_a_cancellation(limit: int, says: str) -> None:
    """USR1 means the time limit only if there is one and it is near; 0 means no limit."""
    script = f"unset SLURM_JOB_END_TIME; WARNING_S=60 TIME_LIMIT_S={limit}; job::_is_near_time_limit && echo over || echo stop"
    assert in_library(script).stdout.decode() == f"{says}\n"


def test_a_second_signal_forces(lab: Lab) -> None:
    """A second signal does not wait for the deadline."""
    job = lab.submit(serving(worker("deaf_0", 1, DEAF), stop_timeout_s=400))
    job.await_line("serving acme/tiny")
    job.signal("TERM")
    job.await_line("stop: TERM to prefill_0")
    job.signal("TERM")
    assert job.wait(timeout=15) == 79
    assert ended(job, "deaf_0") == 137


@pytest.mark.parametrize("after", ["infra: steps started: 1", "run directory", "node1 "])
def test_a_signal_while_steps_start_leaves_nothing(lab: Lab, after: str) -> None:
    """A signal at any moment of the start stops every started step."""
    many = [worker(f"prefill_{n}", n % 2) for n in range(20)]
    job = lab.submit(plan(nats(), *many, frontend()), SRTPLAN_PARALLEL_STARTS="4")
    job.await_line(after)
    job.signal("TERM")
    assert job.wait() == 79
    started = {e["step"] for e in job.events if e.get("state") == "started"}
    assert {e["step"] for e in job.events if e.get("state") == "ended"} == started


def test_a_signal_in_the_preflight_leaves_nothing(lab: Lab) -> None:
    """The preflight step is stopped, too."""
    bundle = lab.compile(serving())
    (bundle / "lib/preflight.sh").write_text("sleep 100\n")
    with (bundle / "lib/stop.sh").open("a") as file:
        file.write(
            "run::remove_scratch() { squeue --noheader --steps --jobs=$JOB_ID --format=%i >$RUN_DIR/left; }\n"
        )
    job = lab.submit(bundle, SRTPLAN_ALLOW_EDITS="1", SRTPLAN_BUNDLE=str(bundle))
    eventually(lambda: any(not one.endswith("batch") for one in job.slurm.steps), 30, "the fan-out runs")
    job.signal("USR1")
    assert job.wait() == 79
    assert [one for one in (job.run_dir / "left").read_text().split() if not one.endswith("batch")] == []


def test_a_slow_handler_does_not_stall_the_supervisor() -> None:
    """bash before 5.2 loses a read timeout during a handler; the tick must not hang."""
    slow = "trap 'sleep 0.8' TERM; (sleep 0.2; kill -TERM $$) & "
    idle = "steps::poll() { :; }; log::cap() { :; }; job::handle_signals() { :; }; job::tick; echo over"
    assert in_library(slow + idle, timeout=20).stdout == b"over\n"


def test_scancel_is_a_cancellation(lab: Lab) -> None:
    """If Slurm signals steps and job at once, the ended steps are not the cause."""
    job = lab.submit(serving())
    job.await_line("serving acme/tiny")
    job.slurm.cancel()
    assert job.wait() == 79


def test_the_stop_script_ends_a_job(lab: Lab) -> None:
    """The command that the log suggests stops the job."""
    job = lab.submit(serving())
    job.await_line("serving acme/tiny")
    said = job.log.partition("to stop: ")[2].splitlines()[0].split()
    lab.cluster.run(said)
    assert job.wait() == 79
    assert lab.cluster.run([said[0], "no number"], check=False).returncode == 2


def test_an_attempt_gets_a_directory_of_its_own(lab: Lab) -> None:
    """A requeued job leaves the files of its first attempt unchanged."""
    bundle = lab.compile(plan(nats(), benchmark(run("b", "true"))))
    (bundle / "job.sh").rename(bundle / "real.sh")
    before = f"mkdir -p {bundle.parent}/out/$SLURM_JOB_ID/attempt_0\nexport SRTPLAN_BUNDLE={bundle} SRTPLAN_ALLOW_EDITS=1"
    (bundle / "job.sh").write_text(f"#!/bin/bash\n#SBATCH --nodes=2\n{before}\nexec bash {bundle}/real.sh\n")
    code, job = lab.run(bundle)
    assert code == 0
    assert job.run_dir.name == "attempt_1"
    assert list((job.run_dir.parent / "attempt_0").iterdir()) == []


def test_a_tmpdir_that_this_node_does_not_have(stand_in_lab: Lab) -> None:
    """If TMPDIR does not exist on a node, one warning is logged, and job and steps use /tmp."""
    script = sh('echo "TMPDIR=${TMPDIR-unset}"; mktemp')
    code, job = stand_in_lab.run(plan(nats(), benchmark(run("b", *script))), TMPDIR="/nonexistent/tmp")
    assert code == 0, job.log
    assert job.log.count("using /tmp: /nonexistent/tmp") == 1
    assert "Slurm still lists steps" not in job.log
    assert "TMPDIR=unset" in (job.run_dir / "logs" / "benchmark.out").read_text()


def test_no_folder_for_temporary_files_at_all(tmp_path: Path) -> None:
    """Without a writable TMPDIR or /tmp the job uses the run directory, and can still query Slurm at its end."""
    script = """
    mktemp() { [[ "$2" != /tmp/srtplan-* && "$2" != /nonexistent/* ]] && command mktemp "$@"; }
    squeue() { :; }
    run::make_directory
    printf '%s\n' "${SCRATCH#"${RUN_DIR}"}"
    STEP_ID[a]=0.1
    stop::_verify_none_left
    run::remove_scratch
    ls "${RUN_DIR}/run"
    trap - EXIT
    """
    env = {"SRTPLAN_OUTPUT": str(tmp_path), "TMPDIR": "/nonexistent/tmp", "SLURM_JOB_ID": "7"}
    done = in_library(script, env=env)
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0
    assert "Slurm still lists steps" not in done.stdout.decode()
    assert [line for line in lines if line.startswith("/run/srtplan-7-job.")] != []
    assert lines[-2:] == ["preflight", "steps"]


@pytest.mark.parametrize(
    ("name", "value", "least"),
    [
        ("SRTPLAN_PARALLEL_STARTS", "many", 1),
        ("SRTPLAN_PARALLEL_STARTS", "0", 1),
        ("SRTPLAN_PARALLEL_STARTS", "08", 1),
        ("SRTPLAN_PARALLEL_STARTS", "x[$(touch made)]", 1),
        ("SRTPLAN_PREFLIGHT_WAIT_S", "2m", 1),
        ("SRTPLAN_UNHEALTHY_AFTER_S", "-1", 0),
        ("SRTPLAN_LOG_CAP_MB", "1G", 0),
    ],
)
def test_a_setting_that_is_not_a_number_is_rejected(
    stand_in_lab: Lab, name: str, value: str, least: int
) -> None:
    """The job fails before it creates or starts anything, and names the variable and its value."""
    code, job = stand_in_lab.run(plan(nats(), benchmark(run("b", "true"))), **{name: value})
    assert code == 72
    assert job.log == f"srtplan: {name} must be a whole number from {least} to 999999, not {value}\n"
    assert not job.output.exists()
    assert not (stand_in_lab.folder / "made").exists()


def test_a_log_directory_that_vanishes_does_not_stop_the_supervisor(lab: Lab) -> None:
    """Without its run directory a job still detects the end of a step and stops the others."""
    go = lab.folder / "go"
    job = lab.submit(serving(worker("decode_1", 1, sh(f"until [[ -e {go} ]]; do sleep 0.1; done; exit 1"))))
    job.await_line("serving acme/tiny")
    job.await_running(5)
    shutil.rmtree(job.run_dir)
    go.touch()
    assert job.wait(timeout=30) == 74
    assert "decode_1 on node1 ended with 1" in job.log


def test_a_service_that_never_listens_ends_the_job(lab: Lab) -> None:
    """A service that never listens ends the job after the timeout, and is named."""
    probes = (tcp("nats_0", 4222),)
    code, job = lab.run(plan(nats(), benchmark(run("b", "true")), probes=probes, gates=gates(infra=3)))
    assert code == 73
    assert "not ready after 3 s: nats_0 (cannot connect)" in job.status["cause"]


def test_a_dead_service_ends_the_wait_for_its_port(lab: Lab) -> None:
    """The job does not wait for the port of a process that has ended."""
    made = plan(
        step("nats_0", "infra", sh("sleep 1; exit 1")),
        benchmark(run("b", "true")),
        probes=(tcp("nats_0", 4222),),
        gates=gates(infra=600),
    )
    job = lab.submit(made)
    assert job.wait(timeout=15) == 73


SERVER = """
import http.server, pathlib, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = pathlib.Path(sys.argv[3]).read_bytes()
        self.send_response(200); self.end_headers(); self.wfile.write(body)
    def log_message(self, *a): pass
http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), H).serve_forever()
"""


def test_readiness_is_counted(lab: Lab) -> None:
    """The health gate waits until every frontend counts all workers, and logs what is missing."""
    answer = lab.folder / "answer.json"
    answer.write_text('{"instances": [{"endpoint": "generate", "component": "prefill"}]}')
    server = frontend(words("python3", "-c", SERVER, ip(0), 18000, str(answer)))
    probe = Probe(
        step="frontend_0", type="dynamo_health", node=0, port=18000, gate="health", path="/health",
        expect=(("prefill", 1), ("decode", 2)),
    )  # fmt: skip
    gate = gates(health=30)
    job = lab.submit(plan(nats(), server, benchmark(run("b", "true")), probes=(probe,), gates=gate))
    job.await_line("health: waiting for frontend_0 (prefill 1/1 decode 0/2)")
    backend = {"component": "backend", "endpoint": "generate", "x": {"endpoint": "clear"}}
    instances = [backend, {"endpoint": "clear", "component": "backend"}, backend]
    answer.write_text(
        json.dumps({"instances": [*instances, {"component": "prefill", "endpoint": "generate"}]}, indent=1)
    )
    assert job.wait() == 0
    assert "health: ready after" in job.log
    counts = [e["workers"] for e in job.events if e["event"] == "probes"]
    assert counts[-2:] == [
        {"prefill": 1, "prefill_wanted": 1, "decode": 0, "decode_wanted": 2},
        {"prefill": 1, "prefill_wanted": 1, "decode": 2, "decode_wanted": 2},
    ]
    assert job.status["ready"] == {"probes": 1, "ready": 1, "workers": counts[-1], "waiting": ""}


@pytest.mark.parametrize(
    ("answers", "counted"),
    [
        (("", "no answer"), (0, 0)),
        (("prefill 1/2 decode 3/4", "prefill 2/2 decode 1/4"), (1, 1)),
        (("ready: prefill 2/2 decode 4/4", "no answer"), (0, 0)),
        (("ready: prefill 2/2 decode 10/4", "ready: prefill 12/2 decode 9/4"), (2, 9)),
    ],
)
def test_workers_are_ready_when_every_frontend_counts_them(
    answers: tuple[str, str], counted: tuple[int, int]
) -> None:
    """The counts are the lowest of all frontends, 0 if one has not answered."""
    script = """
    PROBE_STEP=(nginx frontend_0 frontend_1) PROBE_TYPE=(http dynamo_health dynamo_health) PROBE_EXPECTED=(0,0 2,4 2,4)
    PROBE_ANSWER=(ready "$@"); probes::_count_workers; printf '%s' "${REPLY}"
    """
    told = json.loads(in_library(script, *answers).stdout)
    assert (told["prefill"], told["decode"]) == counted
    assert (told["prefill_wanted"], told["decode_wanted"]) == (2, 4)


def test_a_tcp_probe_counts_no_workers() -> None:
    """A tcp probe does not count workers."""
    script = 'PROBE_STEP=(nats) PROBE_TYPE=(tcp) PROBE_EXPECTED=(0,0) PROBE_ANSWER=(ready); probes::_count_workers; printf "%s" "${REPLY}"'
    assert in_library(script).stdout == b"null"


def test_not_ready_in_time(lab: Lab) -> None:
    """After the timeout the job ends and names what is missing."""
    probe = Probe(step="frontend_0", type="http", node=0, port=18001, gate="health", path="/v1/models")
    gate = gates(health=3)
    code, job = lab.run(plan(nats(), frontend(), benchmark(run("b", "true")), probes=(probe,), gates=gate))
    assert code == 76
    assert job.status["cause"] == "not ready after 3 s: frontend_0 (no answer)"


@pytest.mark.parametrize(("version", "code"), [("19.05.5", 72), ("20.11.0", 0), ("26.05.1-rc", 0)])
def test_an_old_srun_is_rejected(lab: Lab, version: str, code: int) -> None:
    """srun without --overlap fails the job before any step starts."""
    env = lab.folder / "version.sh"
    env.write_text(
        f'srun() {{ if [[ "$1" == --version ]]; then echo "slurm {version}"; else command srun "$@"; fi; }}\n'
    )
    got, job = lab.run(plan(nats(), benchmark(run("b", "true"))), BASH_ENV=str(env))
    assert got == code, job.log
    assert (f"Slurm 20.11 or later is required, this is {version}" in job.log) == (code == 72)
    assert re.search(rf"INFO  Slurm {re.escape(version)}, bash \d\.\d", job.log)


def test_preflight_names_node_and_reason(lab: Lab) -> None:
    """A failed check on a node ends the job before any step starts."""
    checks = (
        PreflightCheck(kind="dir", subject="/nonexistent", nodes=(1,), why="model.path"),
        PreflightCheck(kind="file", subject="/etc/passwd", nodes=(0, 1), why="image"),
    )
    code, job = lab.run(plan(nats(), benchmark(run("b", "true")), preflight=checks))
    assert code == 72
    assert job.status["cause"] == "node1: model.path: /nonexistent does not exist"
    assert not any(e["event"] == "step" for e in job.events)


def test_the_job_runs_what_was_compiled_even_if_the_bundle_changes(lab: Lab) -> None:
    """Compiling again does not change what a running job starts later."""
    made = plan(nats(), worker("w_0", 0, sh("sleep 2; sleep 1000")), benchmark(run("b", "sleep", "1")))
    job = lab.submit(made)
    job.await_line("node1 ")
    compiled = (job.bundle / "plan.json").read_bytes()
    shutil.rmtree(job.bundle)
    assert job.wait() == 0
    assert (job.run_dir / "bundle" / "plan.json").read_bytes() == compiled


@pytest.mark.parametrize("change", ["edit", "add", "remove", "job.sh"])
def test_a_tampered_bundle_is_refused(lab: Lab, change: str) -> None:
    """A file edited, added or removed after compiling fails the job with 71 before anything starts."""
    bundle = lab.compile(plan(nats(), benchmark(run("b", "true"))))
    names = {"edit": "steps/nats_0.sh", "add": "lib/more.sh", "remove": "plan.json", "job.sh": "job.sh"}
    path = bundle / names[change]
    if change == "remove":
        path.unlink()
    else:
        path.write_text((path.read_text() if path.exists() else "") + "# x\n")
    for allowed, want in (("", 71), ("1", 0)):
        code, job = lab.run(bundle, SRTPLAN_ALLOW_EDITS=allowed, SRTPLAN_BUNDLE=str(bundle))
        assert code == want, job.log
        assert names[change] in job.log or "not the job.sh" in job.log


GERMAN = """sha256sum() {
  command sha256sum "$@" 2>&1 | if [[ "${LC_ALL:-}" == C ]]; then cat; else sed s/FAILED/FEHLSCHLAG/; fi
  return "${PIPESTATUS[0]}"
}"""


def test_a_tampered_bundle_is_refused_in_any_language(lab: Lab) -> None:
    """The check does not depend on the user's language."""
    bundle = lab.compile(serving())
    with (bundle / "lib/log.sh").open("a") as file:
        file.write("# edited\n")
    (bundle.parent / "german.sh").write_text(GERMAN)
    code, job = lab.run(
        bundle, SRTPLAN_BUNDLE=str(bundle), LC_ALL="", BASH_ENV=str(bundle.parent / "german.sh")
    )
    assert code == 71
    assert "  lib/log.sh: FAILED" in job.log


def test_a_malformed_manifest_counts_as_an_edit(lab: Lab) -> None:
    """A malformed line in the manifest does not hide an edit."""
    bundle = lab.compile(serving())
    manifest = bundle / "MANIFEST.sha256"
    lines = manifest.read_text().splitlines()
    manifest.write_text(
        "\n".join(line.replace("  ", " ") if "lib/log.sh" in line else line for line in lines) + "\n"
    )
    code, job = lab.run(bundle, SRTPLAN_BUNDLE=str(bundle))
    assert code == 71
    assert "improperly formatted" in job.log


@pytest.mark.parametrize("listed", ["job.sh", "stop", "plan.json", "lib/log.sh"])
def test_every_file_must_be_in_the_manifest(lab: Lab, listed: str) -> None:
    """A file that is missing from the manifest counts as added."""
    bundle = lab.compile(serving())
    manifest = bundle / "MANIFEST.sha256"
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join(line for line in lines if not line.endswith(f"  {listed}")) + "\n")
    code, job = lab.run(bundle, SRTPLAN_BUNDLE=str(bundle))
    assert code == 71
    assert f"  {listed}: added" in job.log


@pytest.mark.parametrize("name", ["a,b", "a:b", "a%j"])
def test_an_output_directory_with_special_characters_is_rejected(lab: Lab, name: str) -> None:
    """Paths with commas, colons or percent signs, which srun interprets, fail at the start."""
    code, job = lab.run(lab.compile(serving()), SRTPLAN_OUTPUT=f"{lab.folder}/{name}")
    assert code == 72
    assert "ERROR preflight: the output directory must not contain" in job.log


def test_a_job_may_be_submitted_from_inside_its_bundle(lab: Lab) -> None:
    """Logs and outputs next to job.sh do not count as edits of the bundle."""
    bundle = lab.compile(plan(nats(), benchmark(run("b", "true"))))
    for _ in range(2):
        (bundle / "srtplan-1.log").write_text("of another job")
        code, job = lab.run(bundle, cwd=bundle, SRTPLAN_OUTPUT="outputs")
        assert code == 0, job.log
    assert len(list((bundle / "outputs").iterdir())) == 2


def test_a_node_that_does_not_answer_is_named(lab: Lab) -> None:
    """If the preflight step fails, its log is shown."""
    bundle = lab.compile(plan(nats(), benchmark(run("b", "true"))))
    broken = bundle / "lib" / "preflight.sh"
    broken.write_text(
        "[[ $SLURMD_NODENAME != node1 ]] || { echo odd trouble; exit 3; }\n" + broken.read_text()
    )
    code, job = lab.run(bundle, SRTPLAN_ALLOW_EDITS="1")
    assert code == 72
    assert "ERROR preflight: node1: did not answer" in job.log
    assert "odd trouble" in job.log


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_secret_reaches_the_step_and_no_file(lab: Lab, mode: int) -> None:
    """A secret is read from a private file byte for byte, and appears nowhere in the run directory."""
    secrets = lab.folder / "secrets"
    secrets.write_text("OTHER=x\nHF_TOKEN=hf_$(id)'abc==")
    secrets.chmod(mode)
    digest = hashlib.sha256(b"hf_$(id)'abc==").hexdigest()
    look = run("look", "bash", "-c", 'printf %s "$HF_TOKEN" | sha256sum; echo "other: ${OTHER:-none}"')
    made = plan(nats(), evolve(benchmark(look), env_from=("HF_TOKEN",)))
    code, job = lab.run(made, SRTPLAN_SECRETS=str(secrets))
    if mode != 0o600:
        assert code == 72
        assert "chmod 600 " in job.status["cause"]
        return
    assert code == 0
    said = (job.run_dir / "logs" / "benchmark.out").read_text()
    assert digest in said
    assert "other: none" in said
    texts = [p.read_text(errors="replace") for p in job.bundle.parent.rglob("*") if p.is_file()]
    assert [t for t in texts if "abc==" in t] == []


def test_a_missing_secret_fails_before_anything_starts(lab: Lab) -> None:
    """The message names the variable."""
    code, job = lab.run(plan(evolve(nats(), env_from=("NO_SUCH_TOKEN",)), benchmark(run("b", "true"))))
    assert code == 72
    assert "NO_SUCH_TOKEN is not set" in job.status["cause"]
