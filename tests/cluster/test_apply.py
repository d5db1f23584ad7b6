"""apply and dry-run on a real Slurm: jobs run to their end, and failed submissions leave nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bundles import ROOT, environment, own_folder, profile_for
from parts import Rig
from slurm_cluster.client import Cluster, Job
from slurm_cluster.leftovers import Leftovers

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster")]
CLI = [sys.executable, "-c", "from srtplan.cli.main import main; main()"]
TINY = """\
name: tiny
model: {path: hf:acme/tiny, container: /images/i.sqsh, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 8, agg_nodes: 1, agg_workers: 1}
dynamo: {install: false}
backend: {type: mocker}
frontend: {type: dynamo, enable_multiple_frontends: false}
benchmark: {type: manual}
"""


class Desk:
    """A directory on the login host from which a test submits."""

    def __init__(
        self, cluster: Cluster, name: str, profile: str = "use_segment_sbatch_directive: false\n"
    ) -> None:
        self.cluster, self.folder = cluster, own_folder(cluster, name)
        self.base = self.folder / "runs"
        (self.folder / "srtslurm.yaml").write_text(profile)
        (self.folder / "tiny.yaml").write_text(TINY)

    def run(self, *argv: str | Path, path: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        """Run ``srtplan`` on the login host; ``path`` takes precedence over Slurm's commands."""
        system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        more = {"PYTHONPATH": str(ROOT), "PATH": f"{path}:{system}" if path else system, **env}
        return self.cluster.run([*CLI, *argv], cwd=self.folder, env=more, timeout=120, check=False)

    def apply(self, *argv: str | Path, path: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        """Run ``srtplan apply -o BASE``; submitted jobs are cancelled after the test."""
        done = self.run("apply", "-o", self.base, *argv, path=path, **env)
        for line in done.stdout.splitlines():
            if line.isdigit():
                self.cluster.jobs.append(Job(self.cluster, int(line)))
        return done

    def program(self, name: str, script: str) -> str:
        """Replace a Slurm command by a script, in which ``real`` is Slurm's own. Returns the directory for PATH."""
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(f'#!/bin/bash\nreal() {{ /usr/bin/{name} "$@"; }}\n{script}\n')
        (folder / name).chmod(0o755)
        return str(folder)

    def queue(self) -> list[str]:
        """The state and reason of every unfinished job."""
        return self.cluster.run(["squeue", "--noheader", "--format=%T %r"]).stdout.splitlines()

    def log(self, number: str | int) -> str:
        """The log of job.sh."""
        return (self.base / str(number) / "logs" / f"srtplan-{number}.log").read_text()


@pytest.fixture
def desk(cluster: Cluster, request: pytest.FixtureRequest) -> Desk:
    """A directory for this test."""
    return Desk(cluster, request.node.name.replace("[", "-").replace("]", ""))


@pytest.mark.parts
def test_a_job_and_two_variants_run_to_their_end(cluster: Cluster, rig: Rig, leftovers: Leftovers) -> None:
    """Three jobs, one from a recipe and two variants of another, each succeed in their own directory."""
    desk = Desk(cluster, "applied", profile_for(rig))
    one = (ROOT / "examples" / "quickstart.yaml").read_text()
    (desk.folder / "one.yaml").write_text(one)
    indented = "".join(f"  {line}\n" for line in one.splitlines())
    two = "override_short: {benchmark: {osl: 8}}\noverride_long: {benchmark: {osl: 64}}\n"
    (desk.folder / "two.yaml").write_text(f"base:\n{indented}{two}")
    done = desk.apply("-f", "one.yaml", "-f", "two.yaml", "--tags", "t", **environment(rig))
    assert done.returncode == 0, done.stderr
    numbers = done.stdout.split()
    (desk.folder / "one.yaml").unlink()
    (desk.folder / "two.yaml").write_text("changed while the jobs wait")
    (desk.folder / "srtslurm.yaml").write_text("changed, too")
    for number, name in zip(numbers, ("quickstart", "quickstart_short", "quickstart_long"), strict=True):
        job = Job(cluster, int(number)).wait(timeout=240)
        assert (job.state, job.exit_code) == ("COMPLETED", 0), desk.log(number)
        folder = desk.base / number
        assert "end class=success code=0" in desk.log(number)
        assert json.loads((folder / f"{number}.json").read_text())["job_name"] == name
        assert json.loads((folder / "latest" / "results" / "summary.json").read_text())["state"] == "complete"
        assert job.output == desk.log(number)
    assert sorted(p.name for p in desk.base.iterdir()) == sorted(numbers)
    assert leftovers() == []


def test_the_job_finds_its_bundle(desk: Desk, cluster: Cluster) -> None:
    """job.sh finds the bundle in its own directory and writes next to it; here the preflight finds no image."""
    done = desk.apply("-f", "tiny.yaml")
    number = done.stdout.strip()
    job = Job(cluster, int(number)).wait(timeout=60)
    assert job.exit_code == 72, desk.log(number)
    assert f"run directory {desk.base}/{number}/attempt_0" in desk.log(number)
    assert "/images/i.sqsh" in desk.log(number)


@pytest.mark.parametrize("how", ["directive", "variable"])
def test_without_the_environment_of_the_submission(desk: Desk, cluster: Cluster, how: str) -> None:
    """With --export=NONE, from the recipe or the site, the job finds its bundle by the submitted path."""
    sets = ["--set", "sbatch_directives.export=NONE"] if how == "directive" else []
    env = {"SBATCH_EXPORT": "NONE"} if how == "variable" else {}
    done = desk.apply("-f", "tiny.yaml", *sets, **env)
    number = done.stdout.strip()
    assert Job(cluster, int(number)).wait(timeout=60).exit_code == 72, desk.log(number)
    assert f"run directory {desk.base}/{number}/attempt_0" in desk.log(number)


def test_sbatch_fails(desk: Desk) -> None:
    """An unknown partition fails with Slurm's message and exit code 1; no job and no directory is left."""
    done = desk.apply("-f", "tiny.yaml", "--set", "slurm.partition=nope")
    assert (done.returncode, done.stdout) == (1, "")
    assert "invalid partition specified: nope" in done.stderr
    assert desk.queue() == []
    assert list(desk.base.iterdir()) == []


def test_an_invalid_recipe_is_rejected(desk: Desk) -> None:
    """An error in the recipe is found before sbatch is called."""
    done = desk.apply("-f", "tiny.yaml", "--set", "resources.agg_workers=0")
    assert (done.returncode, done.stdout) == (1, "")
    assert "SP222" in done.stderr
    assert desk.queue() == []
    assert not desk.base.exists()


def test_the_release_fails(desk: Desk) -> None:
    """The held job is cancelled, and its directory is removed."""
    path = desk.program("scontrol", "exit 1")
    done = desk.apply("-f", "tiny.yaml", path=path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "scontrol failed" in done.stderr
    assert desk.queue() == []
    assert list(desk.base.iterdir()) == []


def test_a_kill_between_submission_and_rename(desk: Desk, cluster: Cluster) -> None:
    """The remaining job stays on hold, although a later job runs to its end."""
    path = desk.program("sbatch", f'real "$@" >{desk.folder}/number; kill -KILL "$PPID"')
    done = desk.apply("-f", "tiny.yaml", path=path)
    assert done.returncode != 0
    job = Job(cluster, int((desk.folder / "number").read_text()))
    cluster.jobs.append(job)
    cluster.sbatch(cluster.script("later.sh", "true\n")).wait(timeout=60)
    assert desk.queue() == ["PENDING JobHeldUser"]
    assert [p.name for p in desk.base.iterdir() if not p.name.startswith(".submit-")] == []


def test_a_heterogeneous_job_is_released(desk: Desk, cluster: Cluster) -> None:
    """One release starts both components."""
    text = TINY.replace(
        "agg_nodes: 1, agg_workers: 1",
        "prefill_nodes: 1, prefill_workers: 1, decode_nodes: 1, decode_workers: 1, het_jobs: true",
    )
    (desk.folder / "het.yaml").write_text(text)
    done = desk.apply("-f", "het.yaml")
    assert done.returncode == 0, done.stderr
    number = done.stdout.strip()
    assert Job(cluster, int(number)).wait(timeout=60).exit_code == 72, desk.log(number)
    assert f"{desk.base}/{number}/attempt_0" in desk.log(number)


def test_dry_run_does_not_call_slurm(desk: Desk) -> None:
    """A dry run shows the job, and changes neither the queue nor the disk."""
    path = desk.program("sbatch", "exit 9")
    done = desk.run("dry-run", "-f", "tiny.yaml", path=path)
    assert done.returncode == 0
    assert "COMMANDS" in done.stdout
    assert desk.queue() == []
    assert not desk.base.exists()
