"""Whole rehearsals of bundles written by hand: how they run, what they say, how they end, and that nothing is left."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from busy import noise_s, patient
from handmade import Step, dynamo_bundle, router_bundle, write_bundle
from leftovers_here import Nothing
from rehearsing import Started, logs, run, serving

from srtplan.rehearsal import FaultError, RehearsalError, network, rehearse

# ------------------------------------------------------------------ success


@pytest.mark.parametrize("make", [router_bundle, dynamo_bundle])
def test_a_bundle_runs_to_its_end(make: Callable[[Path], Path], tmp_path: Path, nothing: Nothing) -> None:
    """Workers, frontends and the benchmark run, the result is there, all steps end gracefully, nothing is left."""
    code, text = run(make(tmp_path / "bundle"), tmp_path / "work")
    assert code == 0, text
    assert "Ended     success (exit code 0, Slurm says COMPLETED)" in text
    assert "LEFT BEHIND" not in text
    assert "left steps running" not in text
    (results,) = (tmp_path / "work").glob("*/attempt_0/results")
    assert any(path.stat().st_size for path in results.iterdir())
    for path in results.parent.glob("logs/*.out"):
        assert path.stem == "benchmark" or "graceful shutdown complete" in path.read_text(), path
    assert nothing.is_left()


def test_the_header_tells_what_will_run(tmp_path: Path) -> None:
    """Before the job's own log: model, nodes with addresses, steps, and the URL; after it, where everything is."""
    bundle = router_bundle(tmp_path / "bundle")
    plan = json.loads((bundle / "plan.json").read_text())
    plan["processes"] = [
        {
            "mode": "prefill", "endpoint": 0, "rank": 0, "node": 0, "gpus": [0, 1, 2, 5],
            "ports": {"http": 30000, "bootstrap": 31000},
        }
    ]  # fmt: skip
    plan["steps"][0] |= {"mode": "prefill", "endpoint": 0, "rank": None}
    plan["url"] = "http://${IP[0]}:8000"
    (bundle / "plan.json").write_text(json.dumps(plan))
    text = run(bundle, tmp_path / "work")[1]
    head = text.partition("ready")[0]
    assert "m on sglang behind sglang" in head
    assert "GPUs 0-2,5" in head
    assert "prefill_0             ports http 30000, bootstrap 31000" in head
    address = head.partition("node0")[2].split()[0]
    assert f"Endpoint  http://{address}:8000" in head
    assert f"Logs      {tmp_path / 'work'}" in text


def test_two_rehearsals_at_once(tmp_path: Path, nothing: Nothing) -> None:
    """Each has its own addresses, so the same ports do not disturb."""
    both = [Started(serving(tmp_path / f"bundle{n}"), tmp_path / f"work{n}") for n in range(2)]
    assert [one.ends(signal.SIGTERM) for one in both] == [79, 79]
    assert nothing.is_left()


def test_without_a_place_for_it_a_success_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run's folder is temporary: gone after a success, kept and named after a failure, or with keep."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "tmp").mkdir()
    bundle = write_bundle(
        tmp_path / "bundle", [Step("benchmark", "benchmark", (0,), "sh -c 'exit ${OWN_CODE:-0}'")], nodes=1
    )
    out = io.StringIO()
    assert rehearse(bundle, stdout=out) == 0
    assert list((tmp_path / "tmp").iterdir()) == []
    assert rehearse(bundle, keep=True, stdout=out) == 0
    assert len(list((tmp_path / "tmp").iterdir())) == 1
    monkeypatch.setenv("OWN_CODE", "5")
    assert rehearse(bundle, stdout=out) == 5
    assert len(list((tmp_path / "tmp").iterdir())) == 2
    assert f"Logs      {tmp_path / 'tmp'}" in out.getvalue()


# ------------------------------------------------------------------ ends


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels_the_job(number: signal.Signals, tmp_path: Path, nothing: Nothing) -> None:
    """Ctrl-C and TERM are scancel: job.sh stops its steps, and its code is ours."""
    one = Started(serving(tmp_path / "bundle"), tmp_path / "work")
    assert one.ends(number) == 79, one.text
    assert "Ended     cancelled (exit code 79, Slurm says CANCELLED)" in one.text
    assert "graceful shutdown complete" in logs(tmp_path / "work", "agg_0")
    assert nothing.is_left()


def test_a_second_signal_ends_everything_at_once(tmp_path: Path, nothing: Nothing) -> None:
    """A job that ignores the first is not waited for."""
    bundle = serving(tmp_path / "bundle")
    (bundle / "job.sh").write_text(
        "#!/bin/bash\ntrap '' TERM USR1\necho ready\nwhile true; do sleep 0.2; done\n"
    )
    one = Started(bundle, tmp_path / "work")
    one.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert one.process.poll() is None
    assert one.ends(signal.SIGINT) == 137, one.text
    assert nothing.is_left()


def test_a_killed_rehearsal_leaves_nothing(tmp_path: Path, nothing: Nothing) -> None:
    """KILL cannot be caught: the keeper sees that its caller is gone and ends everything."""
    Started(serving(tmp_path / "bundle"), tmp_path / "work").ends(signal.SIGKILL)
    assert nothing.is_left()


def test_a_killed_keeper_leaves_nothing(tmp_path: Path, nothing: Nothing) -> None:
    """The job's script ends with its keeper, and the supervisors of its steps see that it is gone."""
    one = Started(serving(tmp_path / "bundle"), tmp_path / "work")
    (keeper,) = [
        pid for pid in nothing.added() if " keeper " in nothing.command(pid) and nothing.is_leader(pid)
    ]
    one.process.send_signal(signal.SIGSTOP)  # it must not notice and help
    os.kill(keeper, signal.SIGKILL)
    assert not eventually_only(nothing, one.process.pid)
    one.ends(signal.SIGKILL)
    assert nothing.is_left()


def eventually_only(nothing: Nothing, pid: int) -> set[int]:
    """Return what is left in addition to one process, after a moment."""
    end = time.monotonic() + patient(15)
    while (left := nothing.added() - {pid}) and time.monotonic() < end:
        time.sleep(0.05)
    return left


def test_a_daemon_does_not_survive(tmp_path: Path, nothing: Nothing) -> None:
    """What a step leaves behind with setsid, without its environment, ends with the step."""
    own = f"987.{os.getpid()}"  # others may run this test at the same time
    argv = f"bash -c 'env -i /usr/bin/setsid /bin/sh -c \"sleep {own} & sleep {own}\" & exec sleep 1'"
    bundle = write_bundle(tmp_path / "bundle", [Step("benchmark", "benchmark", (0,), argv)], nodes=1)
    code, text = run(bundle, tmp_path / "work")
    assert (code, "LEFT BEHIND" in text) == (0, False)
    assert subprocess.run(["pgrep", "-f", f"sleep {own}"], check=False, capture_output=True).stdout == b""
    assert nothing.is_left()


def test_steps_that_job_sh_forgets_are_named(tmp_path: Path) -> None:
    """A job.sh that ends without stopping its steps is found out, though Slurm cleans up behind it."""
    bundle = serving(tmp_path / "bundle")
    text = (
        (bundle / "job.sh")
        .read_text()
        .replace("trap finish EXIT\n", "")
        .replace("while true; do watch; done", "exit 3")
    )
    (bundle / "job.sh").write_text(text)
    code, said = run(bundle, tmp_path / "work")
    assert code == 3
    assert "job.sh left steps running, which Slurm then ended: agg_0" in said


def test_a_time_limit_comes_with_a_warning(tmp_path: Path) -> None:
    """`timeout` is when job.sh gets the signal of its #SBATCH --signal, with that time still left."""
    bundle = serving(tmp_path / "bundle")
    begin = time.monotonic()
    code, text = run(bundle, tmp_path / "work", timeout=3)
    assert (code, "got USR1" in text) == (78, True)
    assert time.monotonic() - begin < 15 + noise_s()


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    """A folder without job.sh or plan.json, and a fault of a step that does not exist, are errors with a remedy."""
    with pytest.raises(RehearsalError, match=r"is not a bundle: job\.sh is missing"):
        rehearse(tmp_path, stdout=io.StringIO())
    bundle = serving(tmp_path / "bundle")
    with pytest.raises(FaultError, match="no step 'decode_7'; there are agg_0"):
        rehearse(bundle, faults=["decode_7:crash"], stdout=io.StringIO())


def test_addresses_are_given_back() -> None:
    """A block is held by a socket: two are different, and a closed one is free again."""
    first, second = network.reserve(), network.reserve()
    assert first.number != second.number
    first.lock.close()
    third = network.reserve()
    assert third.number == first.number
    second.lock.close()
    third.lock.close()
