"""Tests that send signals do not depend on signals that their parent ignores."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

KILL = 'import os, signal; os.kill(os.getpid(), signal.SIG{name}); print("alive")'


@pytest.mark.parametrize("name", ["INT", "QUIT", "HUP", "USR1", "USR2", "TERM"])
def test_child_processes_do_not_inherit_ignored_signals(name: str) -> None:
    """The test process still ignores the signal, but a shell that it starts can trap it."""
    itself = KILL.format(name=name)
    child = f"import subprocess; print(subprocess.run(['bash', '-c', 'trap \"exit 9\" {name}; kill -{name} $$']).returncode)"
    script = f"import conftest; {itself}; {child}"
    done = subprocess.run(
        ["bash", "-c", 'trap "" "$1"; exec "${@:2}"', "bash", name, sys.executable, "-c", script],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["alive", "9"]
