"""Shared fixtures of the results tests: the command as a user calls it, and a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest

from srtplan.cli.main import main


@pytest.fixture
def command() -> Callable[..., int]:
    """A function that runs ``srtplan results ...`` and returns its exit code."""

    def run(*args: object) -> int:
        with pytest.raises(SystemExit) as ended:
            main(["results", *map(str, args)])
        return int(ended.value.code or 0)

    return run


@pytest.fixture(scope="session")
def chromium() -> str:
    """The name of a Chromium binary; without one the test is skipped, or fails under CI."""
    found = next((b for b in ("chromium", "chromium-browser", "google-chrome") if shutil.which(b)), "")
    if not found:
        reason = "chromium not found; run tests/rig/install"
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return found
