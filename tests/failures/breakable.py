"""The job that is broken: the 1P+1D example with NATS, etcd and nginx on two nodes.

Where a wait has to end without success its budget is a few seconds; elsewhere it is so large that a busy machine keeps it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from attrs import evolve

from srtplan.ir.plan import Gate, Plan

ROOT = Path(__file__).resolve().parents[2]
RECIPE = str(ROOT / "examples" / "mocker-disagg.yaml")
SMALL = ("resources.prefill_workers=1", "resources.decode_workers=1", "resources.decode_nodes=1")
INFRA_S = 5
HEALTH_S = 8
PATIENT_S = 120
STOP_S = 6


def quick(plan: Plan, *, infra_s: int = PATIENT_S, health_s: int = PATIENT_S) -> Plan:
    """The same plan, which asks every second, with these budgets and a short time to stop."""

    def asking(gate: Gate) -> Gate:
        budgets = {"infra": infra_s, "health": health_s}
        return evolve(gate, timeout_s=budgets.get(gate.name, gate.timeout_s), interval_s=1)

    return evolve(
        plan,
        gates=tuple(map(asking, plan.gates)),
        stop_timeout_s=STOP_S,
    )


Bundle = Callable[..., Path]
