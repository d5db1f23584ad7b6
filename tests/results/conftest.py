"""What the tests of results share: the command as a user calls it, and a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest

from srtplan.cli.main import main


@pytest.fixture
def command() -> Callable[..., int]:
    """The exit code of ``srtplan results ...``."""

    def run(*args: object) -> int:
        with pytest.raises(SystemExit) as ended:
            main(["results", *map(str, args)])
        return int(ended.value.code or 0)

    return run


@pytest.fixture(scope="session")
def chromium() -> str:
    """A browser; where there is none the test is skipped, and under CI it fails."""
    found = next((b for b in ("chromium", "chromium-browser", "google-chrome") if shutil.which(b)), "")
    if not found:
        reason = "no chromium here; tests/rig/install brings it"
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return found
