"""Directives that the job itself needs: its time limit and its warning."""

from __future__ import annotations

import pytest

from srtplan.plan.launch.sbatch import time_limit_s, warning_s


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("30", 1800),
        ("10:30", 630),
        ("04:00:00", 14400),
        ("1-2", 93600),
        ("1-00:30", 88200),
        ("1-00:00:10", 86410),
        ("UNLIMITED", 0),
    ],
)
def test_time_limits_are_read_as_sbatch_reads_them(time: str, seconds: int) -> None:
    """Minutes, minutes and seconds, hours, days."""
    assert time_limit_s(("--nodes=2", f"--time={time}")) == seconds


def test_the_warning_is_that_of_the_directive() -> None:
    """Seconds before the limit; 0 if the directive requests no signal for the script."""
    assert warning_s(("--signal=B:USR1@120",)) == 120
    assert warning_s(("--signal=USR1@120",)) == 0
    assert warning_s(()) == 0
