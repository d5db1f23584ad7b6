"""apply with an error half-way: nothing is left in the queue or on disk, and other jobs are not affected."""

from __future__ import annotations

import json
import os
import pty
import signal
import sys
from pathlib import Path

import pytest
from busy import patient
from site_of_stand_ins import CLI, HELD, RECIPE, VARIANTS, Site
from status_service import StatusService

SLOW = 'trap "" TERM INT; touch {mark}; until [[ -e {mark}.go ]]; do sleep 0.05; done; real "$@"'
"""An sbatch that submits once the file ``{mark}.go`` exists."""
HANGING = 'trap "" TERM INT; touch {mark}; until [[ -e {mark}.go ]]; do sleep 0.05; done; touch {mark}.alive; exec sleep 600'
"""An sbatch that hangs, and that creates ``{mark}.alive`` once the file ``{mark}.go`` exists."""


def assert_nothing(site: Site) -> None:
    """Assert that all jobs are cancelled and that no directory is left."""
    assert set(site.jobs.values()) <= {"CANCELLED"}, site.jobs
    assert site.listing() == []


def test_sbatch_fails(site: Site) -> None:
    """sbatch's message is shown, the staging directory is removed, and the exit code is 1."""
    site.program("sbatch", 'echo "sbatch: error: invalid partition specified: nope" >&2; exit 1')
    done = site.apply("-f", site.recipe())
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        "tiny was not submitted: sbatch failed: sbatch: error: invalid partition specified: nope"
        in done.stderr
    )
    assert_nothing(site)


def test_one_failure_does_not_stop_other_jobs(site: Site) -> None:
    """If sbatch rejects the first of two jobs, the second is submitted, and the exit code is 1."""
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


def test_sbatch_is_missing(site: Site) -> None:
    """Without Slurm, the first job fails and no other is attempted."""
    (site.folder / "few").mkdir()
    done = site.apply("-f", site.recipe(VARIANTS), PATH=str(site.folder / "few"))
    assert done.returncode == 1
    assert done.stderr.count("cannot run sbatch") == 1
    assert_nothing(site)


@pytest.mark.parametrize("said", ["", "Submitted batch job soon", "12 34"])
def test_an_answer_without_a_number(site: Site, said: str) -> None:
    """What is not understood is shown; nothing is guessed from it."""
    site.program("sbatch", f"echo {said!r}")
    done = site.apply("-f", site.recipe())
    assert done.returncode == 1
    assert "sbatch printed no job id" in done.stderr
    assert_nothing(site)


def test_an_answer_with_a_cluster(site: Site) -> None:
    """sbatch can print ``ID;CLUSTER``: the cluster is passed to scontrol and scancel."""
    site.program("sbatch", 'printf "%s;alps\\n" "$(real "$@")"')
    site.program("scontrol", "exit 0")
    done = site.apply("-f", site.recipe(RECIPE))
    number = done.stdout.strip()
    assert number.isdigit()
    assert f"scontrol --clusters=alps release {number}" in site.called
    assert site.metadata(number)["slurm_cluster"] == "alps"


def test_the_release_fails(site: Site) -> None:
    """The job is cancelled, its directory is removed, and status services are informed."""
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


def test_release_and_cancel_fail(site: Site) -> None:
    """The message names the job that remains on hold, and the command that removes it."""
    site.program("scontrol", "exit 1")
    site.program("scancel", "exit 1")
    done = site.apply("-f", site.recipe(RECIPE))
    (number,) = site.jobs
    assert done.returncode == 1
    assert f"remove it with: scancel {number}" in done.stderr
    assert site.jobs == {number: "PENDING"}
    assert site.listing() == []


def test_a_job_id_is_reused(site: Site) -> None:
    """An existing directory belongs to an earlier job and is kept; the new job is cancelled."""
    site.program("sbatch", f'n="$(real "$@")"; mkdir -p {site.base}/$n/attempt_0; echo $n')
    done = site.apply("-f", site.recipe(RECIPE))
    (number,) = site.jobs
    assert done.returncode == 1
    assert f"{site.base}/{number} already exists" in done.stderr
    assert site.jobs == {number: "CANCELLED"}
    assert site.listing() == [number, f"{number}/attempt_0"]


def test_the_base_is_not_writable(site: Site) -> None:
    """Nothing is submitted, and all jobs share one error message."""
    site.program("sbatch", 'real "$@"')
    (site.folder / "file").write_text("")
    done = site.run("apply", "-f", site.recipe(VARIANTS), "-o", "file/runs")
    assert done.returncode == 1
    assert done.stderr.count("cannot write to") == 1
    assert (site.called, site.jobs) == ([], {})


def test_status_services_are_optional(site: Site) -> None:
    """An unreachable service is reported on stderr, and the job is submitted."""
    text = HELD + "reporting: {status: {endpoint: 'http://127.0.0.2:9'}}\n"
    done = site.apply("-f", site.recipe(text))
    assert done.returncode == 0
    assert "not reported: POST http://127.0.0.2:9/api/jobs: " in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_while_sbatch_runs(site: Site, number: int) -> None:
    """sbatch runs to its end; then the job is cancelled, and nothing is left."""
    mark = site.folder / "mark"
    site.program("sbatch", SLOW.format(mark=mark))
    running = site.start("-f", site.recipe(RECIPE.replace("name: tiny", "name: one")))
    site.eventually(mark.exists)
    site.send_signal(running, number)
    Path(f"{mark}.go").touch()
    out, err = running.communicate(timeout=patient(60))
    assert (running.returncode, out) == (130, "")
    assert "interrupted: 0 of 1 job submitted" in err
    assert list(site.jobs.values()) == ["CANCELLED"]
    assert_nothing(site)


def test_a_signal_between_two_jobs(site: Site) -> None:
    """Submitted jobs stay; no further job is submitted."""
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
    """The first signal waits for sbatch, the second kills it; the message tells how to find a held job."""
    mark = site.folder / "mark"
    site.program("sbatch", HANGING.format(mark=mark))
    running = site.start("-f", site.recipe())
    site.eventually(mark.exists)
    site.send_signal(running, signal.SIGINT)
    Path(f"{mark}.go").touch()
    site.eventually(Path(f"{mark}.alive").exists)
    assert running.poll() is None
    site.send_signal(running, signal.SIGTERM)
    _, err = running.communicate(timeout=patient(60))
    assert running.returncode == 130
    assert "check for a held job with: squeue --me" in err
    assert_nothing(site)


def test_a_job_stays_on_hold_if_srtplan_is_killed(site: Site) -> None:
    """After SIGKILL between sbatch and the rename, the job never starts, although a later job runs to its end."""
    site.program("sbatch", 'n="$(real "$@")"; kill -KILL "$PPID"; echo $n')
    done = site.apply("-f", site.recipe(RECIPE))
    assert done.returncode == -signal.SIGKILL
    (number,) = site.jobs
    assert not (site.base / number).exists()
    site.program("sbatch", 'real "$@"')
    later = site.apply("-f", site.recipe(RECIPE)).stdout.strip()
    assert site.wait(later) == "COMPLETED"
    assert site.jobs == {number: "PENDING", later: "COMPLETED"}
    left = [p for p in site.listing() if not p.startswith(later)]
    assert [p for p in left if "attempt" in p or p.endswith(".log")] == []


def test_the_next_job_after_a_kill(site: Site) -> None:
    """The remains of a killed submission do not affect the next one."""
    site.program(
        "sbatch",
        f'n="$(real "$@")"; [[ -e {site.folder}/once ]] || kill -KILL "$PPID"; touch {site.folder}/once; echo $n',
    )
    site.apply("-f", site.recipe())
    done = site.apply("-f", site.recipe())
    assert done.returncode == 0
    assert (site.base / done.stdout.strip() / "bundle" / "job.sh").exists()


def on_terminal(site: Site, answer: str, *argv: str) -> tuple[int, str]:
    """Run apply on its own terminal and type an answer. Returns the exit code and the output."""
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
    except OSError:  # the terminal was closed
        pass
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown.decode()


def test_several_jobs_are_confirmed_on_a_terminal(site: Site) -> None:
    """The jobs are listed, and the answer "n" submits none."""
    site.recipe(VARIANTS)
    code, shown = on_terminal(site, "n\n", "-f", "recipe.yaml")
    assert (code, site.jobs) == (1, {})
    assert "Submit 2 jobs? [y/N]" in shown
    assert "tiny_large" in shown
    code, _ = on_terminal(site, "y\n", "-f", "recipe.yaml")
    assert (code, len(site.jobs)) == (0, 2)


@pytest.mark.parametrize("argv", [("-y", "-f", "recipe.yaml"), ("-f", "recipe.yaml:small")])
def test_no_confirmation_is_required(site: Site, argv: tuple[str, ...]) -> None:
    """There is no question with ``-y``, or for a single job."""
    site.recipe(VARIANTS)
    code, shown = on_terminal(site, "", *argv)
    assert code == 0
    assert "Submit" not in shown


def test_the_bundle_cannot_be_written(site: Site) -> None:
    """If the disk fills up while the bundle is written, nothing is submitted and nothing is left."""
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
