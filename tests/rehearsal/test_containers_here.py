"""What a step in a container finds: its mounts at their places, stand-ins for what this machine does not have."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from stand_in import StandIn
from stand_in_slurm.cluster import StandInCluster

from srtplan.rehearsal import absent, start
from srtplan.rehearsal.slurm import container

needs_namespaces = pytest.mark.skipif(
    subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], check=False, capture_output=True).returncode != 0,
    reason="this machine allows no user namespaces",
)  # fmt: skip


def lines(slurm: StandIn, mounts: str, command: str, *options: str) -> list[str]:
    """Run a shell command in a container with mounts, and return its output."""
    words = " ".join(options)
    text = (
        f"srun --overlap --nodes=1 --ntasks=1 --container-image=x --container-mounts={mounts} {words}"
        f" bash -c '{command}' 2>&1\n"
    )
    job = slurm.sbatch(slurm.script("job.sh", text), cwd=slurm.shared)
    return job.wait(timeout=20).output.splitlines()


@pytest.fixture
def files(stand_in: StandIn) -> Path:
    """Give a folder with a file in it."""
    folder = stand_in.shared / "files"
    folder.mkdir()
    (folder / "x").write_text("hello\n")
    return folder


@needs_namespaces
def test_mounts_are_at_their_places(stand_in: StandIn, files: Path) -> None:
    """Folders and files appear where the step expects them, in folders of the host too, which stay as they are."""
    mounts = f"{files}:/logs,{files}:/usr/local/deep/er:ro,{files}/x:/etc/own.conf"
    command = (
        "cat /logs/x /usr/local/deep/er/x /etc/own.conf; pwd; touch /logs/new; touch /usr/local/deep/er/new"
    )
    *said, refused, _srun = lines(stand_in, mounts, command)
    assert said == ["hello", "hello", "hello", "/"]
    assert "Read-only file system" in refused
    assert (files / "new").exists()
    assert not Path("/usr/local/deep").exists()
    assert not Path("/etc/own.conf").exists()


@needs_namespaces
def test_what_this_machine_does_not_have_is_empty(stand_in: StandIn) -> None:
    """A source that does not exist, as the cluster's models, is an empty folder, a file if it looks like one."""
    mounts = "/models/of/the/cluster:/model,/shared/nccl.conf:/etc/nccl.conf"
    assert lines(stand_in, mounts, "ls -A /model; test -f /etc/nccl.conf && echo file") == ["file"]


@needs_namespaces
def test_a_path_that_is_not_mounted_is_missed(stand_in: StandIn, files: Path) -> None:
    """Without its mount a container path does not exist: a forgotten mount shows here already."""
    assert lines(stand_in, f"{files}:/logs", "test -e /logs && test ! -e /model && echo missed") == ["missed"]


@needs_namespaces
def test_the_working_directory_is_the_container_s(stand_in: StandIn, files: Path) -> None:
    """--container-workdir counts, not the submitter's directory; the ids stay those of the user."""
    said = lines(stand_in, f"{files}:/logs", "pwd; id -u; touch /own", "--container-workdir=/logs")
    assert said == ["/logs", str(files.stat().st_uid)]
    assert not Path("/own").exists()


def test_a_bad_mount_is_refused(stand_in: StandIn) -> None:
    """pyxis's own message, before anything runs."""
    assert lines(stand_in, ":/x", "echo ran") == ["srun: error: Invalid --container-mounts argument: :/x"]


@pytest.fixture
def without() -> Iterator[StandIn]:
    """Give stand-ins on a machine that allows no namespaces."""
    folder = Path(tempfile.mkdtemp(prefix="srtplan-standins-"))
    (folder / "shared").mkdir()
    with StandInCluster(folder / "cluster", 1, settings={"containers": "paths"}) as inner:
        yield StandIn(inner, folder / "shared")
    subprocess.run(["rm", "-r", str(folder)], check=True)


def test_without_namespaces_programs_map_their_own_paths(without: StandIn) -> None:
    """The mounts are handed to simulated programs; a step's own folder is scratch, not the user's root."""
    said = lines(without, "/a:/model,/b:/logs", "pwd; echo $SRT_REHEARSAL_MOUNTS")
    assert said[0].startswith(str(without.inner.folder))
    assert said[1] == "/a:/model,/b:/logs"


def test_mounts_are_read_as_pyxis_does() -> None:
    """SOURCE, SOURCE:TARGET, SOURCE:TARGET:FLAGS."""
    read = container.mounts("/a,/b:/c,/d:/e:ro+rslave")
    assert [(one.source, one.target, one.is_read_only) for one in read] == [
        ("/a", "/a", False),
        ("/b", "/c", False),
        ("/d", "/e", True),
    ]


def test_setup_scripts_of_the_cluster_are_stood_in_for(tmp_path: Path) -> None:
    """A preamble finds its setup script and wheel below /configs; names that lead elsewhere are left alone."""
    calls = [["setup::script", "deps.sh"], ["setup::script", "../x.sh"], ["setup::dynamo_wheel", "1.2.0"]]
    plan = json.loads(json.dumps({"steps": [{"name": "a", "preamble": calls}, {"name": "b"}]}))
    absent.prepare(plan, tmp_path)
    assert sorted(path.name for path in (tmp_path / "configs").iterdir()) == [
        "ai_dynamo_runtime-1.2.0-simulated.whl",
        "deps.sh",
    ]
    assert "is on the cluster" in (tmp_path / "configs" / "deps.sh").read_text()


def test_a_stand_in_imports_little() -> None:
    """srun starts with the standard library's smallest part: hundreds of them run in one rehearsal."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(start.__file__).parents[2])!r})\n"
        "import srtplan.rehearsal.slurm.srun\n"
        "print({'attrs', 'attr', 'dataclasses', 'typing', 'asyncio', 'json', 'subprocess'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-E", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
