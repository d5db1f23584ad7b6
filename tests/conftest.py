"""What holds for all tests: which get a second try, who may write to their files, and that signals reach their programs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from inherited import restore_ignored_signals

restore_ignored_signals()

WHOLE_JOBS = {"cluster", "failures", "rehearsal", "submit"}
"""Folders whose tests run whole jobs, with dozens of processes and bounds in seconds, on machines that others use, too."""


@pytest.fixture(scope="session", autouse=True)
def private_files() -> None:
    """Make files that only their owner may write to: a profile that others can write to is refused."""
    os.umask(0o022)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test of whole jobs that fails is run once more, and counted (``rerun``); any other test has one try."""
    for item in items:
        folder = Path(item.path).parent.name
        if folder in WHOLE_JOBS or item.get_closest_marker("cluster") or item.path.name == "test_sample.py":
            item.add_marker(pytest.mark.flaky(reruns=1, reruns_delay=3))
