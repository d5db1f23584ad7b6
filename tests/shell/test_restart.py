"""Restarts: workers with `restart`, and steps that Slurm temporarily refused."""

from __future__ import annotations

from attrs import evolve
from plans import benchmark, frontend, nats, plan, run, worker
from shell_lab import Job, Lab

from srtplan.ir.plan import Plan, Step
from srtplan.ir.recipe import Restart
from srtplan.ir.shell import Words, words

SOON = Restart(policy="on-failure", max_restarts=2, backoff_s=1, max_backoff_s=1)


def counting(then: str) -> Words:
    """A command that appends a line to RUN_DIR/<step>.starts and runs a script; $N is the number of starts."""
    script = 'echo x >>"$SRT_RUN_DIR/$SRT_STEP.starts"; N=$(wc -l <"$SRT_RUN_DIR/$SRT_STEP.starts"); echo "start $N"; '
    return words("bash", "-c", script + then)


def rank(number: int, then: str, restart: Restart = SOON, *, critical: bool = True) -> Step:
    """A process of the worker decode_0."""
    made = worker(f"decode_0_r{number}", number, counting(then))
    return evolve(made, mode="decode", endpoint=0, rank=number, restart=restart, critical=critical)


def job(*steps: Step, until: str = "false") -> Plan:
    """These workers, and a benchmark that lasts until a command succeeds."""
    script = f"until {until}; do sleep 0.1; done; sleep 0.5"
    return plan(nats(), *steps, frontend(), benchmark(run("b", "bash", "-c", script)))


def started(times: int, *names: str) -> str:
    """A command that succeeds once steps have started that many times."""
    return " && ".join(f'(($(cat "$SRT_RUN_DIR/{name}.starts" | wc -l) >= {times}))' for name in names)


def logged(text: str) -> str:
    """A command that succeeds once the log of the job contains a text."""
    return f'grep -q {text!r} "$SRT_RUN_DIR/logs/job.log"'


def starts(job: Job, name: str) -> int:
    """How often a step was started."""
    return len((job.run_dir / f"{name}.starts").read_text().split())


def test_all_processes_of_a_worker_restart(lab: Lab) -> None:
    """When one process of a worker ends, the others get TERM, and all restart; the old logs are kept."""
    dies = "((N > 1)) || { sleep 1; exit 3; }; exec sleep 1000"
    listens = "trap 'echo told; exit 0' TERM; while :; do sleep 0.1; done"
    code, done = lab.run(job(rank(0, dies), rank(1, listens), until=started(2, "decode_0_r0", "decode_0_r1")))
    assert code == 0, done.log
    assert (starts(done, "decode_0_r0"), starts(done, "decode_0_r1")) == (2, 2)
    assert "decode_0_r0 ended with 3; restarting decode_0 in 1 s (1 of 2)" in done.log
    logs = done.run_dir / "logs"
    assert "start 1" in (logs / "decode_0_r0.out.1").read_text()
    assert "told" in (logs / "decode_0_r1.out.1").read_text()
    assert "start 2" in (logs / "decode_0_r0.out").read_text()
    assert "start 1" not in (logs / "decode_0_r0.out").read_text()


def test_a_process_that_ignores_term_is_killed_before_the_restart(lab: Lab) -> None:
    """Two generations of a worker never run at once."""
    dies = "((N > 1)) || { sleep 1; exit 3; }; exec sleep 1000"
    deaf = "trap '' TERM; while :; do sleep 0.1; done"
    made = job(rank(0, dies), rank(1, deaf), until=started(2, "decode_0_r0", "decode_0_r1"))
    bundle = lab.compile(made)
    path = bundle / "lib/restart.sh"
    path.write_text(path.read_text().replace("RESTART_GRACE_S=30", "RESTART_GRACE_S=2"))
    code, done = lab.run(bundle, SRTPLAN_ALLOW_EDITS="1", SRTPLAN_BUNDLE=str(bundle))
    assert code == 0, done.log
    assert (starts(done, "decode_0_r0"), starts(done, "decode_0_r1")) == (2, 2)
    ends = [e["exit"] for e in done.events if e.get("step") == "decode_0_r1" and e.get("state") == "ended"]
    assert ends[0] == 137


def test_after_the_last_restart_the_end_counts(lab: Lab) -> None:
    """After the last restart, a critical worker that ends ends the job; an optional one is only a warning."""
    dies = "sleep 0.5; exit 3"
    code, done = lab.run(job(rank(0, dies)))
    assert (code, starts(done, "decode_0_r0")) == (74, 3)
    assert done.status["cause"] == "decode_0_r0 on node0 ended with 3"
    code, done = lab.run(job(rank(0, dies, critical=False), until=logged("continues without it")))
    assert (code, starts(done, "decode_0_r0")) == (0, 3)
    assert "decode_0_r0 ended with 3; the job continues without it" in done.log


def test_the_policy_decides_which_exits_restart(lab: Lab) -> None:
    """After an exit with 0, a worker restarts only with the policy `always`."""
    ends = "((N > 1)) && exec sleep 1000; sleep 0.5; exit 0"
    code, done = lab.run(job(rank(0, ends)))
    assert (code, starts(done, "decode_0_r0")) == (74, 1)
    code, done = lab.run(job(rank(0, ends, evolve(SOON, policy="always")), until=started(2, "decode_0_r0")))
    assert (code, starts(done, "decode_0_r0")) == (0, 2)


def test_a_stopped_job_restarts_nothing(lab: Lab) -> None:
    """A scheduled restart is dropped when the job is stopped."""
    slow = evolve(SOON, backoff_s=30, max_backoff_s=30)
    made = lab.submit(job(rank(0, "sleep 0.5; exit 3", slow)))
    made.await_line("in 30 s (")
    made.signal("USR1")
    assert made.wait() == 79
    assert starts(made, "decode_0_r0") == 1


REFUSE = """
if [[ "$*" == *job-name=decode_0* && $(wc -l <"$REFUSED") -lt %d ]]; then
  echo >>"$REFUSED"
  echo "srun: error: Unable to create step for job 5: %s" >&2
  exit 1
fi
exec srun "$@"
"""


def refusing(lab: Lab, times: int, reason: str) -> tuple[int, Job, int]:
    """A job whose worker Slurm refuses a number of times: exit code, job, and failed calls of srun."""
    bundle = lab.compile(job(worker("decode_0"), until='[[ -e "$SRT_RUN_DIR/run/steps/decode_0.id" ]]'))
    (bundle.parent / "asked").write_text("")
    (bundle.parent / "srun.sh").write_text(REFUSE % (times, reason))
    path = bundle / "lib/step.sh"
    path.write_text(
        path.read_text().replace(' srun "${SRUN[@]}"', f' bash {bundle.parent}/srun.sh "${{SRUN[@]}}"', 1)
    )
    env = {"SRTPLAN_ALLOW_EDITS": "1", "SRTPLAN_BUNDLE": str(bundle), "REFUSED": str(bundle.parent / "asked")}
    code, done = lab.run(bundle, **env)
    return code, done, len((bundle.parent / "asked").read_text().splitlines())


def test_a_temporarily_refused_step_is_retried(lab: Lab) -> None:
    """While the controller restarts, the step is retried, and the job continues."""
    code, done, asked = refusing(lab, 2, "Memory required by task is not available")
    assert code == 0, done.log
    assert asked == 2
    assert "Slurm did not start decode_0; retrying in 4 s (2 of 5)" in done.log


def test_an_impossible_request_is_not_retried(lab: Lab) -> None:
    """A request for more than the job has is not retried."""
    code, done, asked = refusing(lab, 9, "Requested node configuration is not available")
    assert (code, asked) == (74, 1)
    assert "ERROR worker: decode_0 on node0 ended with 1" in done.log
