"""The job that is broken: the 1P+1D example with NATS, etcd and nginx on two nodes, with short budgets."""

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
STOP_S = 6


def impatient(plan: Plan) -> Plan:
    """The same plan with short budgets."""

    def shorter(gate: Gate) -> Gate:
        budgets = {"infra": INFRA_S, "health": HEALTH_S}
        return evolve(gate, timeout_s=budgets.get(gate.name, gate.timeout_s), interval_s=1)

    return evolve(
        plan,
        gates=tuple(map(shorter, plan.gates)),
        stop_timeout_s=STOP_S,
    )


Bundle = Callable[..., Path]
