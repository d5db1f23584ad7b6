"""The page as a whole: it has the rows of the tests, each of one test, and no other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import table

FOLDER = Path(__file__).parent


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> list[table.Key]:
    """The rows of all tests of this folder, whichever of them are run now."""
    path = tmp_path_factory.mktemp("rows") / "rows.json"
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "COV"))}
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-p",
        "no:cacheprovider",
        "-n0",
        str(FOLDER),
    ]
    done = subprocess.run(
        argv,
        cwd=FOLDER.parents[1],
        env=kept | {"SRTPLAN_FAILURES_ROWS": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [tuple(key) for key in json.loads(path.read_text())]


def test_every_row_is_of_one_test(declared: list[table.Key]) -> None:
    """Two tests that write the same row would hide each other."""
    assert sorted(declared) == sorted(set(declared))
    assert len(declared) > 100


def test_the_page_has_the_rows_of_the_tests_and_no_other(declared: list[table.Key]) -> None:
    """A row whose test is gone, or a test whose row is not there: `just failures` mends both."""
    if table.is_rewritten():
        table.prune(declared)
        return
    assert set(table.rows(table.PAGE.read_text())) == set(declared), "run `just failures`"
