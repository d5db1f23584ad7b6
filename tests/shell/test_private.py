"""Directories that another user could have created: their contents never reach a program of the job."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from shell_lab import TEMPLATES, bash, in_library

OTHER = 65534
LIBRARY = TEMPLATES / "lib"
two_users = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")


def check(path: Path) -> subprocess.CompletedProcess[bytes]:
    """Ask the library whether a directory is private."""
    return bash('source "$1"; private::check "$2"', str(LIBRARY / "private.sh"), str(path))


@pytest.fixture
def job() -> Iterator[str]:
    """The id of a job that has nothing in /tmp, neither before nor afterwards."""
    number = str(10**8 + random.randrange(10**8))
    yield number
    for path in Path("/tmp").glob(f"srtplan-{number}*"):  # noqa: S108 -- where the library keeps them
        path.unlink() if path.is_symlink() else shutil.rmtree(path)


def place(job: str, name: str) -> Path:
    """A node-local directory of a job."""
    return Path(f"/tmp/srtplan-{job}-{name}")  # noqa: S108 -- as above


def give_away(*paths: Path) -> None:
    """Make files another user's; a link itself, not what it leads to."""
    for path in paths:
        os.chown(path, OTHER, OTHER, follow_symlinks=False)


def test_a_directory_of_this_user_is_private(tmp_path: Path) -> None:
    """It is created with mode 700 whatever the umask, accepted the next time, and reached by a link of this user's."""
    script = 'umask 0; source "$1"; private::ensure "$2" && private::ensure "$2" && stat -c %a "$2"'
    done = bash(script, str(LIBRARY / "private.sh"), str(tmp_path / "new"))
    assert (done.stdout, done.stderr) == (b"700\n", b"")
    (tmp_path / "link").symlink_to("new")
    assert check(tmp_path / "link").returncode == 0


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o720])
def test_a_directory_that_others_can_write_is_not_private(tmp_path: Path, mode: int) -> None:
    """The message names the directory and the command that closes it."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(mode)
    done = check(tmp_path / "open")
    assert done.returncode == 1
    assert f"run: chmod go-w '{tmp_path}/open'".encode() in done.stderr


def test_create_accepts_nothing_that_is_there(tmp_path: Path) -> None:
    """Neither a directory nor a link that leads nowhere."""
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("there", "link"):
        done = bash('source "$1"; private::create "$2"', str(LIBRARY / "private.sh"), str(tmp_path / name))
        assert done.returncode == 1
    assert not (tmp_path / "nowhere").exists()


@two_users
def test_what_another_user_owns_is_not_private(tmp_path: Path) -> None:
    """A directory of another user, a link of another user, a directory below one that another user could rename."""
    (tmp_path / "ours").mkdir(mode=0o700)
    (tmp_path / "theirs" / "ours").mkdir(parents=True)
    (tmp_path / "link").symlink_to("ours")
    give_away(tmp_path / "theirs", tmp_path / "link")
    assert check(tmp_path / "ours").returncode == 0
    for path, reason in {
        "theirs": f"theirs belongs to user {OTHER}",
        "link": f"link belongs to user {OTHER}",
        "theirs/ours": f"is below {tmp_path}/theirs, which belongs to user {OTHER}",
    }.items():
        done = check(tmp_path / path)
        assert (done.returncode, reason.encode() in done.stderr) == (1, True), done


@two_users
def test_a_directory_above_that_others_can_write(tmp_path: Path) -> None:
    """Of root's it is a warning; a sticky one is how /tmp works."""
    above = tmp_path / "above"
    (above / "ours").mkdir(parents=True)
    above.chmod(0o777)
    done = check(above / "ours")
    assert (done.returncode, f"chmod +t {above}".encode() in done.stderr) == (0, True)
    above.chmod(0o1777)
    assert (check(above / "ours").returncode, check(above / "ours").stderr) == (0, b"")


@two_users
def test_a_directory_of_this_user_that_others_can_write_makes_those_below_unsafe(job: str) -> None:
    """Another user could rename what lies in it; seen by a user who is not root."""
    above = place(job, "above")
    (above / "ours").mkdir(parents=True)
    shutil.copy(LIBRARY / "private.sh", above)
    give_away(above, above / "ours")
    above.chmod(0o777)
    words = ["setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups", "/bin/bash", "-c"]
    script = 'source "$0/private.sh"; private::check "$0/ours"'
    said = subprocess.run([*words, script, str(above)], capture_output=True, check=False)
    assert (said.returncode, b"which is writable by other users" in said.stderr) == (1, True), said
    above.chmod(0o755)
    assert subprocess.run([*words, script, str(above)], check=False).returncode == 0


BUILD = """
set -Eeuo pipefail
source "$1"
step::print_command() { :; }
dynamo::build() { printf 'build %s\n' "$1"; }
dynamo::install() { printf 'install %s\n' "$1"; }
setup::dynamo_source HEAD
"""


@two_users
@pytest.mark.parametrize("planted", ["directory", "link"])
def test_a_planted_build_of_dynamo_is_not_installed(tmp_path: Path, job: str, planted: str) -> None:
    """Job ids can be guessed: a wheel that another user put in the job's place ends the step before pip sees it."""
    folder = place(job, "dynamo") if planted == "directory" else tmp_path / "elsewhere"
    folder.mkdir()
    (folder / ".complete").touch()
    (folder / "planted.whl").touch()
    if planted == "link":
        place(job, "dynamo").symlink_to(folder)
        give_away(place(job, "dynamo"))
    else:
        give_away(folder, folder / ".complete", folder / "planted.whl")
    done = bash(BUILD, str(LIBRARY / "setup.sh"), env={"SLURM_JOB_ID": job})
    assert (done.returncode, done.stdout) == (1, b""), done
    assert f"belongs to user {OTHER}".encode() in done.stderr
    assert (folder / "planted.whl").exists()


def test_the_job_builds_dynamo_in_a_private_directory(job: str) -> None:
    """Several tasks of a node share it."""
    for _ in range(2):
        done = bash(BUILD, str(LIBRARY / "setup.sh"), env={"SLURM_JOB_ID": job})
        assert (done.returncode, done.stdout.splitlines()[0]) == (0, f"build {place(job, 'dynamo')}".encode())
    assert place(job, "dynamo").stat().st_mode & 0o777 == 0o700


def test_builds_are_kept_only_in_a_private_directory(tmp_path: Path) -> None:
    """Another user of the group could plant a wheel in a checkout that the group can write."""
    script = 'source "$1"; setup::_can_keep "$2/configs/dynamo-wheels/abc"'

    def keeps() -> bool:
        return bash(script, str(LIBRARY / "setup.sh"), str(tmp_path)).returncode == 0

    nothing_mounted = bash(script, str(LIBRARY / "setup.sh"), str(tmp_path))
    assert (nothing_mounted.returncode, nothing_mounted.stderr) == (1, b"")
    (tmp_path / "configs").mkdir()
    assert keeps()
    (tmp_path / "configs" / "dynamo-wheels").chmod(0o775)
    assert not keeps()


@two_users
def test_a_planted_cache_is_not_used(tmp_path: Path) -> None:
    """A complete build of another user's, in a directory that anybody may use, is left alone."""
    kept = tmp_path / "configs" / "dynamo-wheels" / "abc"
    kept.mkdir(parents=True)
    (kept / ".complete").touch()
    give_away(kept, kept / ".complete")
    done = bash('source "$1"; setup::_can_keep "$2"', str(LIBRARY / "setup.sh"), str(kept))
    assert (done.returncode, f"belongs to user {OTHER}".encode() in done.stderr) == (1, True)


@two_users
@pytest.mark.parametrize("planted", ["directory", "link"])
def test_scratch_of_another_user_ends_the_step(tmp_path: Path, job: str, planted: str) -> None:
    """Neither used nor removed, not even when the step ends; a link is not followed."""
    (tmp_path / "mine").mkdir()
    if planted == "directory":
        place(job, "etcd").mkdir()
    else:
        place(job, "etcd").symlink_to(tmp_path / "mine")
    give_away(place(job, "etcd"))
    script = 'set -Eeuo pipefail; SCRATCH=(); source "$1"; trap step::_remove_scratch EXIT; setup::scratch "$2"; echo used'
    done = bash(script, str(LIBRARY / "step.sh"), str(place(job, "etcd")))
    assert (done.returncode, done.stdout) == (1, b"")
    assert f"etcd belongs to user {OTHER}".encode() in done.stderr
    assert os.path.lexists(place(job, "etcd"))
    assert (tmp_path / "mine").is_dir()


@two_users
def test_the_end_of_a_job_removes_only_its_own_directories(tmp_path: Path, job: str) -> None:
    """A directory that another user named after the job stays."""
    (tmp_path / "srun").write_text('#!/bin/bash\nwhile [[ "$1" == --* ]]; do shift; done\nexec "$@"\n')
    (tmp_path / "srun").chmod(0o755)
    place(job, "w").mkdir()
    place(job, "theirs").mkdir()
    give_away(place(job, "theirs"))
    script = """
    JOB_ID="$1" NODE=(a) STEP_EXIT=([w]=137) SCRATCH="$2"
    stop::_clean_nodes
    """
    in_library(script, job, str(tmp_path), env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert (place(job, "w").exists(), place(job, "theirs").exists()) == (False, True)


def stage(source: Path, target: Path) -> subprocess.CompletedProcess[bytes]:
    """Copy a model to the node's disk."""
    (source / "sub").mkdir(parents=True, exist_ok=True)
    (source / "sub" / "weights").write_text("original")
    return bash('umask 0; exec bash "$@"', str(LIBRARY / "stage_model.sh"), str(source), str(target))


@two_users
def test_a_planted_model_is_not_loaded(tmp_path: Path) -> None:
    """Name and size of a file say nothing about its content, so the copy of another user does not count."""
    target = tmp_path / "disk" / "model"
    (target / "sub").mkdir(parents=True)
    (target / "sub" / "weights").write_text("planted!")
    give_away(target)
    done = stage(tmp_path / "model", target)
    assert (done.returncode, b"model.stage_dir" in done.stderr) == (1, True)


def test_the_copy_of_a_model_is_written_by_its_user_only(tmp_path: Path) -> None:
    """Whatever the umask; and the lock does not empty the file that a link next to the copy leads to."""
    target, precious = tmp_path / "disk" / "model", tmp_path / "precious"
    precious.write_text("mine")
    target.parent.mkdir()
    (tmp_path / "disk" / "model.lock").symlink_to(precious)
    done = stage(tmp_path / "model", target)
    assert done.returncode == 0, done.stderr
    assert [p.stat().st_mode & 0o022 for p in (target, target / "sub")] == [0, 0]
    assert precious.read_text() == "mine"
    assert b"is complete" in stage(tmp_path / "model", target).stdout


@two_users
@pytest.mark.parametrize("planted", ["file", "link"])
def test_a_planted_report_is_no_result(tmp_path: Path, planted: str) -> None:
    """The evaluator's report lies in /tmp under a name that anybody can guess."""
    report, mine = tmp_path / "gsm8k_m.json", tmp_path / "mine"
    script = f"""
    source "$1"
    cd "$2"
    step::call() {{ touch mine; {"ln -s" if planted == "link" else "cp"} mine gsm8k_m.json; chown -h {OTHER} gsm8k_m.json; }}
    touch result.json.start
    sleep 0.05
    bench::evaluate "$2/result.json" "$2/gsm8k_m" -- x
    """
    done = bash(script, str(LIBRARY / "step.sh"), str(tmp_path), env={"TMPDIR": str(tmp_path)})
    assert done.returncode == 0, done
    assert mine.exists()
    assert os.path.lexists(report), "it is not ours to remove"
    assert not (tmp_path / "result.json").exists()
