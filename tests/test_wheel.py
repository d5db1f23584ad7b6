"""The installation commands of the README work on a copy of the project's files, and the wheel is complete."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from corpus import unavailable

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"## Try it\n.*?```sh\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project's files, tracked or new, in their current state."""
    folder = tmp_path_factory.mktemp("clone") / "a clone"
    list_files = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(list_files, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        unavailable(f"no list of the project's files: {done.stderr.strip()}")
    for name in filter(None, done.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def run(command: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a shell command in the copy, without this Python environment."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV", "SRT"))}
    words = [p for p in kept["PATH"].split(":") if p != str(Path(sys.prefix) / "bin")]
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=kept | {"PATH": ":".join(words)} | env,
        capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip


def can_install(folder: Path) -> None:
    """Skip the test if pip cannot download packages."""
    probe = "python3 -m venv probe && probe/bin/pip download -q --no-deps --no-binary :none: -d got hatchling"
    done = run(probe, folder.parent)
    if done.returncode:
        unavailable(f"pip cannot install anything here: {done.stderr.strip()[-300:]}")


@pytest.mark.slow
def test_the_first_command_of_the_readme(copy: Path) -> None:
    """The commands install srtplan, compile an example and rehearse it; templates and docs/reference/errors.md are in the wheel."""
    can_install(copy)
    found = FENCE.search((ROOT / "README.md").read_text())
    assert found
    command = found[1].strip()
    assert command.startswith("python3 -m venv .venv && .venv/bin/pip install -q . &&")
    done = run(command, copy)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (status,) = (copy / "outputs").glob("*/attempt_0/status.json")
    assert '"class": "success"' in status.read_text().replace('":"', '": "')
    (package,) = (copy / ".venv" / "lib").glob("python3*/site-packages/srtplan")
    for path in (copy / "templates").rglob("*"):
        inside = package / "templates" / path.relative_to(copy / "templates")
        assert path.is_dir() or inside.read_bytes() == path.read_bytes(), path
    assert (package / "docs" / "reference" / "errors.md").read_bytes() == (
        copy / "docs" / "reference" / "errors.md"
    ).read_bytes()
    away = run(
        f"'{copy}/.venv/bin/srtplan' --version && '{copy}/.venv/bin/srtplan' check '{copy}/examples/'*.yaml",
        copy.parent,
    )
    assert away.returncode == 0, away.stderr
