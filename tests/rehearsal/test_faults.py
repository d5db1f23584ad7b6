"""Faults as text, and which steps they mean."""

from __future__ import annotations

import pytest

from srtplan.rehearsal import FaultError
from srtplan.rehearsal.faults import VARIABLE, for_step, parse


@pytest.mark.parametrize(
    "text",
    [
        "decode_1:crash@5s",
        "etcd:oom",
        "worker_*:slow=4",
        "a:hang@0.5s",
        "b:unhealthy",
        "c:badconfig",
        "d:stubborn",
        "node1:lost@5s",
    ],
)
def test_a_fault_is_read_and_written(text: str) -> None:
    """The text of a fault is what it was read from."""
    assert str(parse(text)) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("decode_1", "is not STEP:KIND"),
        ("decode_1:explode", "no kind 'explode'; there are crash, exit0, oom"),
        ("decode_1:slow", "slow needs a number of seconds"),
        ("decode_1:crash=3", "the other kinds take none"),
        ("decode_1:crash@soon", "is not STEP:KIND"),
        ("a b:crash", "is not STEP:KIND"),
    ],
)
def test_a_bad_fault_says_what_would_be_right(text: str, reason: str) -> None:
    """The error names the fault and the remedy."""
    with pytest.raises(FaultError, match=reason):
        parse(text)


def test_a_step_gets_the_faults_that_mean_it() -> None:
    """STEP is a pattern as in the shell, and several faults may mean one step."""
    environment = {VARIABLE: "decode_*:crash@5s decode_0:slow=2 etcd:oom"}
    assert [str(fault) for fault in for_step(environment, "decode_0")] == [
        "decode_*:crash@5s",
        "decode_0:slow=2",
    ]
    assert [str(fault) for fault in for_step(environment, "decode_12")] == ["decode_*:crash@5s"]
    assert for_step(environment, "prefill_0") == []
