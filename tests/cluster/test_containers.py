"""The stand-in for pyxis: the files and variables that a task sees with `srun --container-image`."""

from __future__ import annotations

from pathlib import Path

import pytest
from slurm_cluster.client import Cluster, Job

pytestmark = pytest.mark.cluster

HOST = ("/usr", "/bin", "/lib", "/lib64", "/etc/alternatives")


@pytest.fixture
def image(cluster: Cluster) -> Path:
    """Create an image with the host's programs and one additional file."""
    root = cluster.shared / "image"
    if not root.exists():
        root.mkdir()
        (root / ".host-binds").write_text("".join(f"{path}\n" for path in HOST if Path(path).exists()))
        (root / ".env").write_text("PATH=/opt/bin:/usr/bin:/bin\nFLAVOUR=image\n")
        (root / "motd").write_text("inside\n")
        (cluster.shared / "image.sqsh").write_text(f"image: {root}\n")
    return cluster.shared / "image.sqsh"


def run(cluster: Cluster, command: str, *options: str, env: dict[str, str] | None = None) -> Job:
    """Run a shell command in one task with these options of srun.

    The job's output is all that the command says, in order; what srun and Slurm say is in `job.err`.
    """
    words = " ".join(f"'{option}'" for option in options)
    script = cluster.script("job.sh", f"srun {words} bash -c 'exec 2>&1; {command}'\n")
    return cluster.sbatch(script, "--error=job.err", env=env).wait(timeout=20)


def rejected(cluster: Cluster, *options: str) -> tuple[int, str]:
    """Run a task that must not start, and return srun's exit status and message."""
    job = run(cluster, "echo started", *options)
    assert job.output == ""
    return job.exit_code, (cluster.shared / "job.err").read_text()


def test_a_container_shows_only_its_image(cluster: Cluster, image: Path) -> None:
    """The root is the image with the host's programs; other directories of the host are not visible."""
    job = run(cluster, "cat /motd; ls -d /var /srv /home; pwd; hostname", f"--container-image={image}")
    lines = job.output.splitlines()
    assert lines[0] == "inside"
    assert lines[-2:] == ["/", "node0"]
    assert sum("No such file" in line for line in lines) == 3


def test_an_image_is_a_file_a_directory_or_a_name(cluster: Cluster, image: Path) -> None:
    """A file, its directory and a name in the cluster's images give the same container."""
    (cluster.directory / "images" / "registry+org+name+tag").symlink_to(image.with_suffix(""))
    for name in (image, image.with_suffix(""), "registry#org/name:tag"):
        assert run(cluster, "cat /motd", f"--container-image={name}").output == "inside\n"


def test_only_mounts_are_added(cluster: Cluster, image: Path) -> None:
    """A mounted directory is writable unless it has :ro; the shared directory itself is not visible."""
    data = cluster.shared / "data"
    data.mkdir()
    (data / "here").write_text("data\n")
    options = (f"--container-image={image}", f"--container-mounts={data}:/in:ro,{data}:/out,tmpfs:/scratch")
    command = f"cat /in/here; touch /in/no; touch /out/yes /scratch/x && echo written; ls {cluster.shared}"
    lines = run(cluster, command, *options).output.splitlines()
    assert lines[0] == "data"
    assert "written" in lines
    assert sum("Read-only" in line or "No such file" in line for line in lines) == 2
    assert sorted(path.name for path in data.iterdir()) == ["here", "yes"]


def test_the_working_directory_is_not_the_jobs(cluster: Cluster, image: Path) -> None:
    """A container starts in / or in --container-workdir."""
    options = (f"--container-image={image}", "--container-workdir=/etc")
    assert run(cluster, "pwd", *options).output == "/etc\n"


def test_the_images_environment_takes_precedence(cluster: Cluster, image: Path) -> None:
    """A variable of the image overrides the job's, unless --container-env names it; other variables are kept."""
    option, env = f"--container-image={image}", {"FLAVOUR": "job", "OTHER": "job"}
    command = 'echo "${FLAVOUR} ${OTHER} ${PATH}"'
    hidden = run(cluster, command, option, env=env)
    named = run(cluster, command, option, "--container-env=OTHER,FLAVOUR", env=env)
    assert hidden.output == "image job /opt/bin:/usr/bin:/bin\n"
    assert named.output == "job job /opt/bin:/usr/bin:/bin\n"


def test_errors_are_those_of_pyxis(cluster: Cluster, image: Path) -> None:
    """An unknown image, a missing mount source and invalid syntax fail srun with pyxis' messages."""
    told = {
        (1, "failed to import docker image: /no/such.sqsh"): ["--container-image=/no/such.sqsh"],
        (1, "/no/such: No such file"): [f"--container-image={image}", "--container-mounts=/no/such:/x"],
        (255, "invalid format"): [f"--container-image={image}", "--container-mounts=:/x"],
        (255, "unrecognized option"): ["--container-imagine=x"],
    }
    for (status, words), options in told.items():
        code, said = rejected(cluster, *options)
        assert code == status
        assert words in said


def test_the_log_lists_requested_containers(cluster: Cluster, image: Path) -> None:
    """Tests can read the container of each task."""
    option = "--no-container-mount-home"
    job = run(cluster, "true", f"--container-image={image}", f"--container-mounts={image.parent}:/x", option)
    line = [line for line in cluster.container_log() if f" {job.id}.0 " in line]
    asked = f"image={image} mounts={image.parent}:/x workdir= home=0 entrypoint=0"
    assert line == [f"node0 {job.id}.0 {asked}"]


def test_a_container_keeps_no_changes(cluster: Cluster, image: Path) -> None:
    """Files that a task writes in its container are gone at the end, and the next container starts clean."""
    option = f"--container-image={image}"
    first = run(cluster, "echo changed >/motd; cat /motd", option)
    second = run(cluster, "cat /motd", option)
    assert (first.output, second.output) == ("changed\n", "inside\n")
