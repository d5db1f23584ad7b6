"""The library under other versions of bash than this machine's, and what it may use at all: nothing newer than 4.4.

Releases of Debian have bash 5.1, 5.2 and 5.3, those of Ubuntu 4.4 and 5.0: ``tests/rig/bashes`` fetches those that are not here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from effort import VARIABLE
from shell_lab import TEMPLATES, TESTS, bash

RUN = [
    "test_bash_versions.py::test_this_is_the_bash_that_runs",
    "test_launchers.py", "test_log.py", "test_quoting.py", "test_supervisor.py", "test_lost_node.py", "test_report.py",
    "test_dynamo_source.py",
]  # fmt: skip
WANTED = "SRTPLAN_TEST_BASH"
"""With it, a test with more than two variants runs with the first and the last: they differ in data (conftest.py)."""
VERSIONS = {"bionic": "4.4", "focal": "5.0", "bullseye": "5.1", "forky": "5.3"}
"""What releases have that this machine has not: Debian 12 has 5.2."""

LATER = {
    r"\$\{?EPOCH(SECONDS|REALTIME)": "5.0",
    r"\$\{?BASH_ARGV0": "5.0",
    r"\blocalvar_inherit\b|\bassoc_expand_once\b|\bprogcomp_alias\b": "5.0",
    r"\bwait\s+(-\w+\s+)*-f\b": "5.0",
    r"\bhistory\s+-d\s+-\d": "5.0",
    r"\$\{?SRANDOM": "5.1",
    r"\bwait\s+(-\w+\s+)*-\w*p\b": "5.1",
    r"\$\{[^}]*@[UuLKk]\}": "5.1",
    r"\$\{[A-Za-z_]+\[[@*]\]@k\}": "5.2",
    r"\bvarredir_close\b|\bpatsub_replacement\b|\bnoexpand_translation\b": "5.2",
    r"\bread\s+(-\w+\s+)*-E\b": "5.3",
    r"\$\{?GLOBSORT\b|\bBASH_MONOSECONDS\b|\bBASH_TRAPSIG\b": "5.3",
    r"\$\{[ |]": "5.3",
}
"""What bash's NEWS file says came after 4.4, and when; as far as a script may meet it."""


@cache
def others() -> dict[str, str]:
    """Programs of other versions, by the name of the release that has them."""
    done = subprocess.run([TESTS / "rig" / "bashes", *VERSIONS], capture_output=True, text=True, check=True)
    return {line.split()[0]: line.split()[2] for line in done.stdout.splitlines()}


@pytest.mark.slow
@pytest.mark.xdist_group("bashes")  # one after the other: each has workers of its own
@pytest.mark.parametrize("release", VERSIONS)
def test_the_library_under_another_bash(release: str, tmp_path: Path) -> None:
    """All tests of launchers, supervisor, quoting, reports and source builds pass where /bin/bash is another version."""
    if os.geteuid() != 0:
        pytest.skip("only root can put another bash in the place of /bin/bash")
    if release not in others():
        pytest.skip(f"the mirror does not have the bash of {release}; see tests/rig/bashes")
    other = others()[release]
    assert version(other) == VERSIONS[release]
    script = 'mount --bind "$1" "$(realpath /bin/bash)" && shift && exec "$@"'
    tests = [str(TESTS / "shell" / name) for name in RUN]
    own = ("PYTEST_XDIST", "PYTEST_CURRENT")  # of the worker that runs this test
    kept = {key: value for key, value in os.environ.items() if not key.startswith(own)}
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script, "sh", other,
         sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "3", "-m", "not cluster",
         f"--basetemp={tmp_path / 'base'}", *tests],
        capture_output=True, text=True, check=False, timeout=1800, env=kept | {WANTED: version(other), VARIABLE: "quick"},
        stdin=subprocess.DEVNULL, cwd=TESTS.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert re.search(r"\b\d\d+ passed", done.stdout)


def version(program: str) -> str:
    """Major and minor version of a bash."""
    say = 'printf %s "${BASH_VERSINFO[0]}.${BASH_VERSINFO[1]}"'
    return subprocess.run([program, "-c", say], capture_output=True, text=True, check=True).stdout


def test_this_is_the_bash_that_runs() -> None:
    """The tests run with the requested bash, by default 4.4 or later."""
    found = bash('printf %s "${BASH_VERSINFO[0]}.${BASH_VERSINFO[1]}"').stdout.decode()
    assert found == os.environ.get(WANTED, found)
    assert tuple(map(int, found.split("."))) >= (4, 4)


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*")), ids=lambda p: p.name)
def test_nothing_newer_than_bash_4_4(path: Path) -> None:
    """No variable, option or expansion that came after 4.4 stands in the library or a template."""
    if path.is_dir() or path.suffix == ".awk":
        return
    text = re.sub(r"(?m)(^|\s)#.*$", "", path.read_text())
    assert {word: since for word, since in LATER.items() if re.search(word, text)} == {}
