"""apply when something fails half-way: nothing is left in the queue or on disk, and other jobs are untouched."""

from __future__ import annotations

import json
import os
import pty
import signal
import sys
import time
from pathlib import Path

import pytest
from site_of_stand_ins import CLI, HELD, RECIPE, VARIANTS, Site
from status_service import StatusService

SLOW = 'trap "" TERM INT; touch {mark}; sleep 1.5; real "$@"'
"""An sbatch that takes a while and then submits."""


def assert_nothing(site: Site) -> None:
    """No job but cancelled ones, no folder."""
    assert set(site.jobs.values()) <= {"CANCELLED"}, site.jobs
    assert site.listing() == []


def test_sbatch_refuses(site: Site) -> None:
    """What sbatch said is shown, the staging folder is gone, the exit code is 1."""
    site.program("sbatch", 'echo "sbatch: error: invalid partition specified: nope" >&2; exit 1')
    done = site.apply("-f", site.recipe())
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        "tiny was not submitted: sbatch failed: sbatch: error: invalid partition specified: nope"
        in done.stderr
    )
    assert_nothing(site)


def test_one_refusal_does_not_stop_the_others(site: Site) -> None:
    """Of two jobs the first is refused: the second is submitted, and the exit code is still 1."""
    site.program(
        "sbatch", f'[[ -e {site.folder}/once ]] || {{ touch {site.folder}/once; exit 1; }}; real "$@"'
    )
    done = site.apply("--json", "-f", site.recipe(VARIANTS))
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["status"], line["job_name"]) for line in lines] == [
        ("error", "tiny_small"),
        ("submitted", "tiny_large"),
    ]
    assert "1 of 2 jobs submitted" in done.stderr
    assert list(site.jobs.values()) == ["PENDING"]


def test_there_is_no_sbatch(site: Site) -> None:
    """Off a cluster the first attempt says so, and no second one is made."""
    (site.folder / "few").mkdir()
    done = site.apply("-f", site.recipe(VARIANTS), PATH=str(site.folder / "few"))
    assert done.returncode == 1
    assert done.stderr.count("sbatch cannot be run") == 1
    assert_nothing(site)


@pytest.mark.parametrize("said", ["", "Submitted batch job soon", "12 34"])
def test_an_answer_without_a_number(site: Site, said: str) -> None:
    """What is not understood is shown; nothing is guessed from it."""
    site.program("sbatch", f"echo {said!r}")
    done = site.apply("-f", site.recipe())
    assert done.returncode == 1
    assert "sbatch gave no job id" in done.stderr
    assert_nothing(site)


def test_an_answer_with_a_cluster(site: Site) -> None:
    """ID;CLUSTER: the number is the number, and Slurm's commands are told the cluster."""
    site.program("sbatch", 'printf "%s;alps\\n" "$(real "$@")"')
    site.program("scontrol", "exit 0")
    done = site.apply("-f", site.recipe(RECIPE))
    number = done.stdout.strip()
    assert number.isdigit()
    assert f"scontrol --clusters=alps release {number}" in site.called
    assert site.metadata(number)["slurm_cluster"] == "alps"


def test_the_release_fails(site: Site) -> None:
    """The job is cancelled, its folder is gone, and status services do not wait for it."""
    site.program("scontrol", "echo 'slurm_suspend error: Access denied' >&2; exit 1")
    with StatusService() as service:
        reporting = f"reporting: {{status: {{endpoint: '{service.url}'}}}}\n"
        done = site.apply("-f", site.recipe(RECIPE + reporting))
    assert (done.returncode, done.stdout) == (1, "")
    assert "scontrol failed: slurm_suspend error: Access denied" in done.stderr
    assert list(site.jobs.values()) == ["CANCELLED"]
    assert_nothing(site)
    (number,) = site.jobs
    assert [(verb, path) for verb, path, _ in service.heard] == [
        ("POST", "/api/jobs"),
        ("PUT", f"/api/jobs/{number}"),
    ]
    assert service.reports[0]["status"] == "failed"


def test_neither_release_nor_cancel_work(site: Site) -> None:
    """Who submitted is told which job to remove; it stays on hold."""
    site.program("scontrol", "exit 1")
    site.program("scancel", "exit 1")
    done = site.apply("-f", site.recipe(RECIPE))
    (number,) = site.jobs
    assert done.returncode == 1
    assert f"remove it by: scancel {number}" in done.stderr
    assert site.jobs == {number: "PENDING"}
    assert site.listing() == []


def test_the_number_was_given_before(site: Site) -> None:
    """A folder of that name is of another job: it stays as it is, and the new job is cancelled."""
    site.program("sbatch", f'n="$(real "$@")"; mkdir -p {site.base}/$n/attempt_0; echo $n')
    done = site.apply("-f", site.recipe(RECIPE))
    (number,) = site.jobs
    assert done.returncode == 1
    assert f"{site.base}/{number} exists already" in done.stderr
    assert site.jobs == {number: "CANCELLED"}
    assert site.listing() == [number, f"{number}/attempt_0"]


def test_the_base_cannot_be_written(site: Site) -> None:
    """Nothing is submitted that could not be written; one sentence for all jobs."""
    site.program("sbatch", 'real "$@"')
    (site.folder / "file").write_text("")
    done = site.run("apply", "-f", site.recipe(VARIANTS), "-o", "file/runs")
    assert done.returncode == 1
    assert done.stderr.count("cannot write in") == 1
    assert (site.called, site.jobs) == ([], {})


def test_status_services_are_not_needed(site: Site) -> None:
    """One that is not there is a line on stderr; the job is in the queue."""
    text = HELD + "reporting: {status: {endpoint: 'http://127.0.0.2:9'}}\n"
    done = site.apply("-f", site.recipe(text))
    assert done.returncode == 0
    assert "not reported: POST http://127.0.0.2:9/api/jobs: " in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_while_sbatch_runs(site: Site, number: int) -> None:
    """The submission is not torn apart: once the number is known the job is cancelled, and nothing is left."""
    mark = site.folder / "mark"
    site.program("sbatch", SLOW.format(mark=mark))
    running = site.start("-f", site.recipe(RECIPE.replace("name: tiny", "name: one")))
    site.eventually(mark.exists)
    running.send_signal(number)
    out, err = running.communicate(timeout=30)
    assert (running.returncode, out) == (130, "")
    assert "interrupted: 0 of 1 job submitted" in err
    assert list(site.jobs.values()) == ["CANCELLED"]
    assert_nothing(site)


def test_a_signal_between_two_jobs(site: Site) -> None:
    """What was submitted before stays; the rest is not begun."""
    site.program(
        "sbatch",
        f'real "$@"; [[ ! -e {site.folder}/first ]] || kill -TERM "$PPID"; touch {site.folder}/first',
    )
    done = site.apply("-f", site.recipe(VARIANTS))
    assert done.returncode == 130
    assert "interrupted: 1 of 2 jobs submitted" in done.stderr
    assert sorted(site.jobs.values()) == ["CANCELLED", "PENDING"]
    assert (site.base / done.stdout.strip() / "bundle" / "job.sh").exists()
    assert len(list(site.base.iterdir())) == 1


def test_a_second_signal_ends_an_sbatch_that_hangs(site: Site) -> None:
    """Who presses Ctrl-C twice does not wait for the controller; where to look for a job is said."""
    mark = site.folder / "mark"
    site.program("sbatch", f'trap "" TERM INT; touch {mark}; exec sleep 600')
    running = site.start("-f", site.recipe())
    site.eventually(mark.exists)
    running.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert running.poll() is None
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=120)
    assert running.returncode == 130
    assert "look for a job on hold" in err
    assert_nothing(site)


def test_a_kill_leaves_nothing_that_runs(site: Site) -> None:
    """SIGKILL between sbatch and the rename: the job is on hold and never starts by itself."""
    site.program("sbatch", 'n="$(real "$@")"; kill -KILL "$PPID"; echo $n')
    done = site.apply("-f", site.recipe(RECIPE))
    assert done.returncode == -signal.SIGKILL
    (number,) = site.jobs
    time.sleep(2)
    assert site.jobs == {number: "PENDING"}
    assert not (site.base / number).exists()
    assert [p for p in site.listing() if "attempt" in p or p.endswith(".log")] == []


def test_the_next_job_after_a_kill(site: Site) -> None:
    """What a killed submission left does not disturb the next one."""
    site.program(
        "sbatch",
        f'n="$(real "$@")"; [[ -e {site.folder}/once ]] || kill -KILL "$PPID"; touch {site.folder}/once; echo $n',
    )
    site.apply("-f", site.recipe())
    done = site.apply("-f", site.recipe())
    assert done.returncode == 0
    assert (site.base / done.stdout.strip() / "bundle" / "job.sh").exists()


def on_terminal(site: Site, answer: str, *argv: str) -> tuple[int, str]:
    """Run apply on a terminal of its own and type an answer; exit code and all that it showed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(site.folder)
        os.environ.update(site.cluster.environment | site.environment())
        os.execv(sys.executable, [*CLI, "apply", "-o", str(site.base), *argv])  # noqa: S606
    os.write(terminal, answer.encode())
    shown = b""
    try:
        while block := os.read(terminal, 4096):
            shown += block
    except OSError:  # how a terminal ends
        pass
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown.decode()


def test_several_jobs_are_asked_for_on_a_terminal(site: Site) -> None:
    """The jobs are listed; no means none."""
    site.recipe(VARIANTS)
    code, shown = on_terminal(site, "n\n", "-f", "recipe.yaml")
    assert (code, site.jobs) == (1, {})
    assert "Submit 2 jobs? [y/N]" in shown
    assert "tiny_large" in shown
    code, _ = on_terminal(site, "y\n", "-f", "recipe.yaml")
    assert (code, len(site.jobs)) == (0, 2)


@pytest.mark.parametrize("argv", [("-y", "-f", "recipe.yaml"), ("-f", "recipe.yaml:small")])
def test_nobody_is_asked_without_need(site: Site, argv: tuple[str, ...]) -> None:
    """With -y, or for a single job, there is no question."""
    site.recipe(VARIANTS)
    code, shown = on_terminal(site, "", *argv)
    assert code == 0
    assert "Submit" not in shown


def test_the_bundle_cannot_be_written(site: Site) -> None:
    """A disk that is full while the bundle is written: no job, no folder."""
    limited = Path(site.folder / "limited")
    limited.write_text('#!/bin/bash\nulimit -f 8\nexec "$@"\n')
    limited.chmod(0o755)
    site.program("sbatch", 'real "$@"')
    done = site.cluster.run(
        [str(limited), *CLI, "apply", "-o", str(site.base), "-f", str(site.recipe(RECIPE))],
        cwd=site.folder,
        env=site.environment(),
    )
    assert done.returncode == 1, done.stderr
    assert "was not submitted" in done.stderr
    assert site.called == []
    assert_nothing(site)
