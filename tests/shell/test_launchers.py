"""Launchers on their own: what a preamble does, how runs are checked, what `show` prints."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from attrs import evolve
from effort import examples
from plans import benchmark, plan, run, step, worker
from shell_lab import TEMPLATES, bash

from srtplan.bundle.render import render
from srtplan.bundle.write import write
from srtplan.ir.plan import Run, Step
from srtplan.ir.shell import Words, ip, word, words
from srtplan.plan.show.serialise import to_json
from srtplan.plugin.readers import CLIENTS


class Task:
    """Runs the task part of a launcher, without Slurm."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.run_dir, self.bin = folder, folder / "run", folder / "bin"
        (self.run_dir / "run" / "steps").mkdir(parents=True)
        (self.run_dir / "run" / "nodes.sh").write_text("NODE=(n0 n1)\nIP=(10.0.0.1 10.0.0.2)\n")
        self.bin.mkdir()

    def program(self, name: str, script: str) -> None:
        """Put a program on PATH."""
        path = self.bin / name
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(0o755)

    def run(self, made: Step, verb: str = "task", **env: str) -> subprocess.CompletedProcess[bytes]:
        """Run a step's launcher."""
        made_plan = plan(made)
        write(render(made_plan, {"plan.json": to_json(made_plan)}), self.folder / "bundle")
        own = {"PATH": f"{self.bin}:{os.environ['PATH']}", "SLURM_JOB_ID": "7", "SLURM_STEP_ID": "3"}
        return bash(
            'exec bash "$@"',
            f"{self.folder}/bundle/steps/{made.name}.sh",
            verb,
            str(self.run_dir),
            env=own | env,
        )


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """A place to run launchers."""
    return Task(tmp_path)


def with_preamble(*calls: Words, argv: Words = words("true")) -> Step:  # noqa: B008 -- immutable
    """A step with calls before its command."""
    return step("x_0", "worker", argv, preamble=calls)


def test_the_first_task_writes_the_step_id(task: Task) -> None:
    """Task 0 writes the step's id; the others leave it alone."""
    task.run(worker("w_0", argv=words("true")), SLURM_PROCID="1")
    assert not (task.run_dir / "run/steps/w_0.id").exists()
    task.run(worker("w_0", argv=words("true")), SLURM_PROCID="0")
    assert (task.run_dir / "run/steps/w_0.id").read_text() == "7.3\n"


def test_a_preamble_that_fails_ends_the_step(task: Task) -> None:
    """The command is not started after a call that failed."""
    made = with_preamble(words("setup::script", "no such.sh"), argv=words("touch", task.folder / "started"))
    done = task.run(made)
    assert done.returncode == 1
    assert b"no such.sh not found in /configs or" in done.stderr
    assert not (task.folder / "started").exists()


STOPPED_EARLY = r"""
source "$1"
step::_run_command() { sleep 10; echo "to the end"; }
set() { builtin set "$@"; [[ $1 != -m ]] || kill -TERM "${BASHPID}"; } # the signal comes between handler and child
step::_run_and_clean_up step::_run_command
"""


def test_a_signal_before_the_command_starts_is_forwarded() -> None:
    """A signal that arrives before the command starts is forwarded to it."""
    done = bash(STOPPED_EARLY, str(TEMPLATES / "lib" / "step.sh"), timeout=8)
    assert done.returncode == 143, done
    assert b"to the end" not in done.stdout


def test_a_signalled_step_starts_no_command() -> None:
    """Neither a function of the library nor a program."""
    script = 'source "$1"; f() { echo begun; }; STOP_REQUESTED=1; step::call f; echo "$?"; step::call echo begun; echo "$?"'
    assert bash(script, str(TEMPLATES / "lib" / "step.sh")).stdout == b"143\n143\n"


def test_a_missing_tmpdir_is_not_used(task: Task) -> None:
    """A TMPDIR that does not exist on the node or in the image is unset; an existing directory is kept."""
    look = with_preamble(argv=words("bash", "-c", 'echo "in ${TMPDIR-none}"'))
    missing = task.run(look, TMPDIR="/nonexistent/tmp")
    assert (missing.returncode, missing.stdout.splitlines()[-1]) == (0, b"in none")
    assert b"using /tmp: /nonexistent/tmp" in missing.stderr
    assert task.run(look, TMPDIR=str(task.folder)).stdout.splitlines()[-1] == f"in {task.folder}".encode()


def test_a_preamble_can_create_the_tmpdir(task: Task) -> None:
    """TMPDIR is checked after the preamble."""
    mine = task.folder / "mine"
    (task.folder / "site.sh").write_text('mkdir -p "${TMPDIR}"\n')
    make = words("setup::bash_preamble", str(task.folder / "site.sh"))
    done = task.run(with_preamble(make, argv=words("bash", "-c", 'echo "in ${TMPDIR}"')), TMPDIR=str(mine))
    assert done.stdout.splitlines()[-1] == f"in {mine}".encode(), done.stderr


@pytest.mark.parametrize(
    ("rehearsal", "place"),
    [("", "/configs/dynamo-wheels/key"), ("1", "/tmp/srtplan-7-dynamo")],  # noqa: S108 -- the job's own
)
def test_a_rehearsal_keeps_no_build_of_dynamo(rehearsal: str, place: str) -> None:
    """A simulated wheel in the shared cache would be installed by the next real job."""
    script = """
    source "$1"
    private::ensure() { :; }
    setup::_can_keep() { :; }
    dynamo::key() { REPLY=key; }
    dynamo::build() { printf '%s\n' "$1"; }
    dynamo::install() { :; }
    SLURM_JOB_ID=7 SRT_REHEARSAL="$2" setup::dynamo_source abc123
    """
    said = bash(script, str(TEMPLATES / "lib" / "setup.sh"), rehearsal).stdout.decode().splitlines()
    assert said == [place]


def test_scratch_is_empty_and_private(task: Task) -> None:
    """Files of an earlier job are removed at the start, and the directory is removed at the end."""
    scratch = task.folder / "scratch"
    (scratch / "old").mkdir(parents=True)
    look = words("bash", "-c", 'ls -A "$0"; stat -c %a "$0"; touch "$0/mine"; exit 5', str(scratch))
    done = task.run(with_preamble(words("setup::scratch", str(scratch)), argv=look))
    assert done.returncode == 5
    assert done.stdout.splitlines()[-1] == b"700"
    assert b"old" not in done.stdout.splitlines()
    assert not scratch.exists()


def test_a_step_with_scratch_ends_with_the_code_of_its_command(task: Task) -> None:
    """The step exits with the code of its command, even if the command ends at once or does not exist."""
    made = with_preamble(words("setup::scratch", str(task.folder / "scratch")), argv=words("no-such-program"))
    task.run(made)
    loop = (
        f'for n in {{1..{examples(150)}}}; do bash "$1" task "$2" >/dev/null 2>&1; printf "%s\\n" "$?"; done'
    )
    assert codes(task, loop) == {b"127"}


def test_a_signalled_step_with_scratch_may_exit_with_0(task: Task) -> None:
    """A command that exits with 0 on TERM makes the step exit with 0."""
    argv = words("bash", "-c", "trap 'exit 0' TERM; echo >\"$READY\"; while :; do sleep 0.01 & wait $!; done")
    task.run(with_preamble(words("setup::scratch", str(task.folder / "scratch")), argv=words("true")))
    made = with_preamble(words("setup::scratch", str(task.folder / "scratch")), argv=argv)
    write(render(plan(made)), task.folder / "bundle")
    once = """
    for n in {1..15}; do
      rm -f "$READY"; bash "$1" task "$2" >/dev/null 2>&1 & pid="$!"
      until [[ -e "$READY" ]]; do sleep 0.01; done
      kill -TERM "$pid"; wait "$pid"; printf '%s\\n' "$?"
    done
    """
    assert codes(task, once) == {b"0"}


def codes(task: Task, script: str) -> set[bytes]:
    """What a script prints that runs the launcher often."""
    env = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "3", "READY": str(task.folder / "ready")}
    return set(bash(script, f"{task.folder}/bundle/steps/x_0.sh", str(task.run_dir), env=env).stdout.split())


def test_variables_of_a_preamble_reach_the_command(task: Task) -> None:
    """A sourced file and a directory added to PATH are visible to the command."""
    (task.folder / "site.sh").write_text("export SITE=here\n")
    made = with_preamble(
        words("setup::bash_preamble", f"{task.folder}/site.sh"),
        words("setup::path_prepend", "/odd dir"),
        argv=words("bash", "-c", 'echo "${SITE} ${PATH%%:*}"'),
    )
    assert task.run(made).stdout.splitlines()[-1] == b"here /odd dir"


def test_open_files_are_raised_as_far_as_allowed(task: Task) -> None:
    """A limit above the hard limit is a warning, not an error."""
    made = with_preamble(
        words("setup::open_files", 2**40), argv=words("bash", "-c", "ulimit -n; ulimit -H -n")
    )
    soft, hard = task.run(made).stdout.split()[-2:]
    assert soft == hard


def test_dynamo_is_installed_under_a_lock(task: Task) -> None:
    """Tasks that share a container install one at a time."""
    task.program(
        "python3",
        'echo "$*" >>"$LOG"; [[ ! -e "$LOG.busy" ]] || exit 9; touch "$LOG.busy"; sleep 0.3; rm "$LOG.busy"',
    )
    made = with_preamble(words("setup::dynamo_pypi", "0.9.1"))
    log = task.folder / "pip.log"
    task.run(made, LOG=str(log), SLURM_JOB_ID="71")
    both = 'bash "$1" task "$2" & SLURM_PROCID=1 bash "$1" task "$2" & wait -n && wait -n'
    env = {
        "PATH": f"{task.bin}:{os.environ['PATH']}",
        "SLURM_JOB_ID": "71",
        "SLURM_STEP_ID": "3",
        "LOG": str(log),
    }
    done = bash(both, f"{task.folder}/bundle/steps/x_0.sh", str(task.run_dir), env=env)
    assert done.returncode == 0, done.stderr
    calls = log.read_text().splitlines()
    assert len(calls) == 3
    assert calls[0].endswith(
        "--extra-index-url https://pypi.nvidia.com ai-dynamo-runtime==0.9.1 ai-dynamo==0.9.1"
    )


def test_a_ladder_runs_in_order_and_stops_at_the_first_failure(task: Task) -> None:
    """Each run is logged; the step exits with the code of the failed run."""
    done = task.run(
        benchmark(run("a", "echo", "one"), run("b", "bash", "-c", "exit 9"), run("c", "echo", "three"))
    )
    assert done.returncode == 9
    assert b"run 1/3 a\n" in done.stdout
    assert b"run 2/3 b\n" in done.stdout
    assert b"three" not in done.stdout


@pytest.mark.parametrize("client", sorted(CLIENTS))
def test_a_result_is_checked_by_its_client(task: Task, client: str) -> None:
    """A report without output tokens is rejected, one with output tokens is accepted."""
    ladder = {"total_output_tokens": 8, "completed": 1, "duration": 0.5, "mean_ttft_ms": 20.0}
    good = {
        "sglang": ladder,
        "vllm": ladder,
        "trtllm": ladder,
        "aiperf": {
            "total_osl": {"unit": "tokens", "avg": 8.0},
            "request_count": {"avg": 1.0},
            "benchmark_duration": {"avg": 0.5},
            "time_to_first_token": {"avg": 20.0},
        },
        "sglang-eval": {"score": 0.5},
        "lm-eval": {"results": {"gsm8k": {"exact_match,strict": 0.5, "sample_len": 4}}},
        "": {},
    }[client]
    bad = {"total_output_tokens": 0, "total_osl": {"avg": 0}, "results": {}}
    for report, code in ((good, 0), (bad, 0 if client == "" else 80)):
        made = run("r", "bash", "-c", f"echo '{json.dumps(report)}' >\"$0\"", result="r.json", client=client)
        assert task.run(benchmark(made)).returncode == code


def test_an_old_result_is_no_result(task: Task) -> None:
    """A file older than the run is not a result."""
    old = task.run_dir / "results" / "r.json"
    old.parent.mkdir()
    old.write_text('{"total_output_tokens": 8}')
    os.utime(old, (1, 1))
    done = task.run(benchmark(run("r", "true", result="r.json")))
    assert done.returncode == 80
    assert b"the file is older than this run" in done.stderr


def test_aiperf_leaves_its_report_where_it_is_expected(task: Task) -> None:
    """The report is copied from the directory of aiperf; an old report is ignored."""
    result = word(str(task.run_dir), "/results/r.json")
    artifacts = str(task.folder / "artifacts")
    metrics = ("total_osl", "request_count", "benchmark_duration", "time_to_first_token")
    text = json.dumps({name: {"avg": 5} for name in metrics})
    write_it = f"echo '{text}' >{artifacts}/profile_export_aiperf.json"
    for script, code in ((write_it, 0), ("true", 80), ("exit 3", 3)):
        argv = words("bench::aiperf", result, artifacts, "--", "bash", "-c", script)
        (task.run_dir / "results/r.json").unlink(missing_ok=True)
        made = benchmark(Run(name="r", argv=argv, result=result, client="aiperf"))
        assert task.run(made).returncode == code


@pytest.mark.skipif(
    os.geteuid() != 0 and "CI" not in os.environ, reason="only root can make files of another user"
)
def test_an_evaluation_of_another_user_is_no_result(task: Task) -> None:
    """In a shared /tmp, a report that another user wrote during the run is neither used nor removed."""
    result, report = word(str(task.run_dir), "/results/r.json"), task.folder / "gpqa_ds.json"
    script = f"echo '{{\"score\": 1}}' >'{report}'; chown 65534 '{report}'"
    argv = words("bench::evaluate", result, f"{task.folder}/gpqa_ds", "--", "bash", "-c", script)
    assert task.run(benchmark(Run(name="r", argv=argv, result=result, client="sglang-eval"))).returncode == 80
    assert report.exists()


def test_an_evaluation_in_a_rehearsal_is_found_in_the_run_directory(task: Task) -> None:
    """A report of a real evaluation in /tmp is neither replaced nor removed."""
    result, report = word(str(task.run_dir), "/results/r.json"), task.folder / "gpqa_ds.json"
    script = f'mkdir -p "${{0%/*}}"; echo \'{{"score": 1}}\' >"$0"; touch {report}'
    own = f"{task.run_dir}/run{report}"
    argv = words("bench::evaluate", result, f"{task.folder}/gpqa_ds", "--", "bash", "-c", script, own)
    made = benchmark(Run(name="r", argv=argv, result=result, client="sglang-eval"))
    assert task.run(made, SRT_REHEARSAL="1").returncode == 0
    assert json.loads((task.run_dir / "results/r.json").read_text())["score"] == 1
    assert report.exists()


@pytest.mark.parametrize(
    ("function", "where", "report"),
    [("evaluate", "gpqa_ds*", "gpqa_ds.json"), ("lm_eval", "out", "out/m/results_1.json")],
)
def test_an_evaluation_is_found_under_its_own_name(
    task: Task, function: str, where: str, report: str
) -> None:
    """The newest report written during the run is the result."""
    result = word(str(task.run_dir), "/results/r.json")
    path = task.folder / report
    text = json.dumps({"score": 1, "results": {"t": {"acc,none": 1, "sample_len": 2}}})
    script = f"mkdir -p '{path.parent}'; echo '{text}' >'{path}'"
    argv = words(
        f"bench::{function}", result, f"{task.folder}/{where.rstrip('*')}", "--", "bash", "-c", script
    )
    client = {"evaluate": "sglang-eval", "lm_eval": "lm-eval"}[function]
    assert task.run(benchmark(Run(name="r", argv=argv, result=result, client=client))).returncode == 0
    assert json.loads((task.run_dir / "results/r.json").read_text())["score"] == 1
    assert path.exists() == (function == "lm_eval"), (
        "SGLang's evaluator writes into /tmp: nothing stays there"
    )


def test_downloads_are_whole_and_checked(task: Task) -> None:
    """A file with a wrong checksum fails the step and is removed."""
    source = task.folder / "source"
    source.write_text("hello")
    good = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    for sha256, code in ((good, 0), (good.upper(), 0), ("0" * 64, 1), ("", 0)):
        target = task.folder / "traces" / "t.jsonl"
        target.unlink(missing_ok=True)
        done = task.run(with_preamble(words("bench::fetch", f"file://{source}", str(target), sha256)))
        assert (done.returncode, target.exists()) == (code, code == 0), done.stderr
    assert task.run(with_preamble(words("bench::verify", str(source), good))).returncode == 0
    assert task.run(with_preamble(words("bench::verify", str(source), "f" * 64))).returncode == 1


def test_what_show_prints_runs(task: Task) -> None:
    """The printed command can be pasted into a shell and yields the same words."""
    made = worker("w_0", argv=words("printf", "<%s>", "a b", "$x", word("http://", ip(1)), "--flag", "it's"))
    shown = task.run(made, "show").stdout.decode()
    inner = shown.partition("# in the step\n")[2]
    assert bash(inner).stdout == b"<a b><$x><http://10.0.0.2><--flag><it's>"
    assert shown.partition("srun ")[2].startswith("\\\n --overlap")


def test_show_names_secrets(task: Task) -> None:
    """The names of secrets are shown, never their values."""
    made = evolve(worker("w_0", argv=words("true")), env_from=("HF_TOKEN",))
    shown = task.run(made, "show", HF_TOKEN="hf_planted").stdout  # noqa: S106 -- planted to be looked for
    assert b"\nexport HF_TOKEN # from the environment of the submitter or the secrets file\nsrun" in shown
    assert b"hf_planted" not in shown


def test_show_needs_no_run(task: Task) -> None:
    """Without a run, node names are printed as references."""
    task.run(worker("w_0", argv=words("true")))
    done = bash('bash "$@"', f"{task.folder}/bundle/steps/w_0.sh", "show")
    assert b"HEAD_NODE_IP=\\$\\{IP\\[0\\]\\}" in done.stdout


def test_a_launcher_says_how_it_is_used(task: Task) -> None:
    """Without a verb a launcher prints its usage and exits."""
    task.run(worker("w_0", argv=words("true")))
    done = bash('bash "$@"', f"{task.folder}/bundle/steps/w_0.sh")
    assert done.returncode == 2
    assert b"usage" in done.stderr
