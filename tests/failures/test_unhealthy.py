"""Workers that stop being ready, and clients that never end: at the gate, during a benchmark, while serving."""

from __future__ import annotations

from pathlib import Path

import pytest
from breakable import HEALTH_S, Bundle
from trials import Trial
from verdict import Case, judge

PATIENCE_S = 2
MANUAL = "benchmark.type=manual"
HOLD = "benchmark:hang"
GONE = r"not ready for \d+ s while serving: frontend_0 \(prefill 1/1 decode 0/1\)"
MUTE = (
    r"not ready for \d+ s while serving: frontend_0 \((no answer|HTTP status 503)( in 5 s)?\); nginx \(.*\)"
)

CASES = (
    Case("health", "decode_0 gets unhealthy", 76, "unhealthy", rf"not ready after {HEALTH_S} s: frontend_0 \(prefill 0/1 decode 0/1\)", ("decode_0:unhealthy@3s", "prefill_0:slow=20"), seconds=HEALTH_S),
    Case("benchmark", "decode_0 gets unhealthy", 76, "unhealthy", GONE, ("decode_0:unhealthy@7s", HOLD), seconds=10),
    Case("serving", "decode_0 gets unhealthy", 76, "unhealthy", GONE, ("decode_0:unhealthy@6s",), (MANUAL,), 10),
    Case("serving", "frontend_0 hangs", 76, "unhealthy", MUTE, ("frontend_0:hang@6s",), (MANUAL,), 5 * PATIENCE_S + 10),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_server_that_stops_being_ready_ends_the_job(case: Case, bundle: Bundle, tmp_path: Path) -> None:
    """After SRTPLAN_UNHEALTHY_AFTER_S the job ends and names the missing worker or silent frontend."""
    env = {"SRTPLAN_UNHEALTHY_AFTER_S": str(PATIENCE_S)}
    budgets = {"health_s": HEALTH_S} if case.stage == "health" else {}
    with Trial(bundle(*case.sets, **budgets), tmp_path / "trial", faults=case.faults, env=env) as trial:
        if case.stage != "health":
            trial.reach(case.stage)
            trial.until(lambda: "stopped being ready:" in trial.log, "it is noticed")
        trial.fault()
        outcome = trial.wait()
    judge(outcome, case, case.seconds + 6)


@pytest.mark.row("benchmark", "the client hangs until the time limit")
def test_a_client_that_hangs_ends_with_the_time_limit(bundle: Bundle, tmp_path: Path) -> None:
    """A client that hangs is stopped in order at the time limit."""
    with Trial(bundle(), tmp_path / "trial", faults=[HOLD], options=["--time=0:76"]) as trial:
        trial.reach("stop")
        trial.fault()
        outcome = trial.wait()
        assert any(e.get("stage") == "benchmark" for e in trial.events)
    cause = r"the time limit is near \(USR1\)"
    judge(outcome, Case("benchmark", "the client hangs until the time limit", 78, "time_limit", cause), 10)
