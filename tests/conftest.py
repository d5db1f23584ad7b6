"""Settings for all tests: retries, `just unit`, who may write to their files, and signals that reach their programs."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import effort
import pytest
from inherited import restore_ignored_signals

restore_ignored_signals()

effort.load_profile()

WHOLE_JOBS = {"cluster", "failures", "rehearsal", "submit"}
"""Folders whose tests run whole jobs, with dozens of processes and bounds in seconds, on machines that others use, too."""
SLOW_MARKS = {"cluster", "corpus", "parts"}
SLOW_FIXTURES = {"stand_ins", "stand_in_lab", "chromium"}
"""A cluster of stand-ins, and a browser."""
SLOW_GOLDEN = {"test_runs_to_its_end", "test_shell_is_clean", "test_whole_bundle"}
"""Tests of golden cases that run ShellCheck or a rehearsal."""


@pytest.fixture(scope="session", autouse=True)
def private_files() -> None:
    """Make files that only their owner may write to: a profile that others can write to is refused."""
    os.umask(0o022)


def pytest_configure(config: pytest.Config) -> None:
    """Make a folder that all workers of this run share; the process that makes it removes it."""
    if effort.SHARED not in os.environ:
        os.environ[effort.SHARED] = tempfile.mkdtemp(prefix="srtplan-tests-")
        config.add_cleanup(_forget_shared)


def _forget_shared() -> None:
    shutil.rmtree(os.environ.pop(effort.SHARED), ignore_errors=True)


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Add ``flaky`` to tests of whole jobs, which have a second try, and ``slow`` to what ``just unit`` leaves out."""
    for item in items:
        if _runs_whole_jobs(item):
            item.add_marker(pytest.mark.flaky(reruns=1, reruns_delay=3))
        if _is_slow(item):
            item.add_marker(pytest.mark.slow)


def _runs_whole_jobs(item: pytest.Item) -> bool:
    folder = Path(item.path).parent.name
    return (
        folder in WHOLE_JOBS
        or item.get_closest_marker("cluster") is not None
        or item.path.name == "test_sample.py"
    )


def _is_slow(item: pytest.Item) -> bool:
    if _runs_whole_jobs(item) or any(item.get_closest_marker(name) for name in SLOW_MARKS):
        return True
    if item.path.parent.name == "shell" and "lab" in getattr(item, "fixturenames", ()):
        return item.path.name != "test_quoting.py"  # its lab is a folder
    name = getattr(item, "originalname", item.name)
    return bool(SLOW_FIXTURES & set(getattr(item, "fixturenames", ()))) or name in SLOW_GOLDEN
