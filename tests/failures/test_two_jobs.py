"""Two jobs at once on the same nodes: each has its own NATS, etcd and ports, or the second one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from breakable import Bundle
from trials import Trial
from verdict import Case, judge

MANUAL = "benchmark.type=manual"


def test_two_jobs_with_an_offset_between_them_both_succeed(bundle: Bundle, tmp_path: Path) -> None:
    """They share nodes and /tmp: no port, and no name of a temporary file."""
    shared = {"TMPDIR": str(tmp_path / "shared")}
    (tmp_path / "shared").mkdir()
    made = bundle(name="one"), bundle(name="other", port_offset=100)
    with (
        Trial(made[0], tmp_path / "a", env=shared) as one,
        Trial(made[1], tmp_path / "b", env=shared, cluster=one.cluster) as other,
    ):
        one.until_running("nats")
        other.until_running("nats")
        numbers = {str(one.job.number), str(other.job.number)}
        names = {path.name for path in (tmp_path / "shared").iterdir()}
        assert {name.split("-")[1] for name in names} == numbers
        other.wait()
        outcome = one.wait()
        again = other.wait()
        assert list((tmp_path / "shared").iterdir()) == []
    assert (outcome.code, outcome.group) == (0, "success"), outcome.log
    assert (again.code, again.group) == (0, "success"), again.log
    assert again.left == outcome.left == ()


@pytest.mark.row("preflight", "another job has the ports")
def test_without_an_offset_the_second_job_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    """It names the port and who holds it, and does the first job no harm."""
    made = bundle(MANUAL)
    with Trial(made, tmp_path / "a") as one:
        one.reach("serving")
        with Trial(made, tmp_path / "b", cluster=one.cluster) as other:
            outcome = other.wait(grace=0)
            assert other.started() == []
        assert one.events[-1]["event"] != "end", "the first one serves on"
        one.stop()
        last = one.wait()
    cause = r"node0: port 4222 \(nats\) is in use by \S+ \(pid \d+\)"
    assert last.group == "cancelled", last.log
    refused = Case("preflight", "another job has the ports", 72, "preflight", cause)
    judge(outcome, refused, 6, left=last.left)


@pytest.mark.row("ports", "another job's NATS answers")
def test_another_jobs_nats_is_not_taken_for_ours(bundle: Bundle, tmp_path: Path) -> None:
    """Even where no preflight looked and our own server is slow: nothing of ours is started with theirs."""
    made = bundle(MANUAL)
    skip = {"SRTPLAN_PREFLIGHT_SKIP": "dir file path gpus port"}
    with Trial(made, tmp_path / "a") as one:
        one.reach("serving")
        with Trial(
            made, tmp_path / "b", cluster=one.cluster, env=skip, faults=["nats:slow=3", "etcd:slow=9"]
        ) as other:
            other.until(
                lambda: "nats (the server does not belong to this job)" in other.log,
                "it is seen",
            )
            other.fault()
            outcome = other.wait(grace=0)
            assert set(other.started()) == {"nats", "etcd"}
        one.stop()
        last = one.wait()
    assert last.group == "cancelled", last.log
    case = Case("ports", "another job's NATS answers", 73, "infra", r"nats on node0 ended with \d+")
    judge(outcome, case, 12, left=last.left)
