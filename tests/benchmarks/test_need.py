"""bench::need: a program that the image does not contain is installed next to it, and nothing in the image is replaced."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

LIB = Path(__file__).resolve().parents[2] / "templates" / "lib"
SCRIPT = """
set -Eeuo pipefail
source "$1/step.sh"
STEP=benchmark
bench::need tinyprogram "$2"
tinyprogram
python3 -c 'import tinymodule; print(tinymodule.__file__)'
"""


def wheel(folder: Path) -> Path:
    """Build a wheel with one module and one program."""
    path = folder / "tinymodule-1.0-py3-none-any.whl"
    info = "tinymodule-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("tinymodule.py", "def main():\n    print('it runs')\n")
        out.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinymodule\nVersion: 1.0\n")
        out.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        out.writestr(f"{info}/entry_points.txt", "[console_scripts]\ntinyprogram = tinymodule:main\n")
        out.writestr(f"{info}/RECORD", "")
    return path


def need(package: object, job: str) -> subprocess.CompletedProcess[str]:
    """Run bench::need for the program of the wheel."""
    env = os.environ | {"SLURM_JOB_ID": job, "PIP_NO_INDEX": "1"}
    command = ["bash", "-c", SCRIPT, "bash", LIB, str(package)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=env, timeout=120, stdin=subprocess.DEVNULL
    )


@pytest.fixture
def job(tmp_path: Path) -> str:
    """Return a unique job id; tests remove its files in /tmp themselves, because no step cleans up here."""
    return f"need-{tmp_path.name}-{os.getpid()}"


def test_a_package_is_installed_into_its_own_directory(tmp_path: Path, job: str) -> None:
    """The program is on PATH, its module can be imported, and both are in one directory of the job."""
    done = need(wheel(tmp_path), job)
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.splitlines()[-1]).parent
    assert "it runs" in done.stdout
    assert job in folder.name
    shutil.rmtree(folder)


def test_a_package_that_cannot_be_installed_is_an_error(tmp_path: Path, job: str) -> None:
    """The step ends before anything is measured."""
    assert need(tmp_path / "none.whl", job).returncode != 0
