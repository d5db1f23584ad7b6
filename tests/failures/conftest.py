"""Fixtures of the failure matrix: bundles to break, and the real Slurm of tests/cluster."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import evolve

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "failures"), str(TESTS / "bundle"), str(TESTS / "cluster"), str(TESTS / "rig")]

from slurm_cluster import commands  # noqa: E402
from slurm_cluster.client import Cluster  # noqa: E402

from srtplan import pipeline  # noqa: E402
from srtplan.ir.plan import Plan, Probe  # noqa: E402

ROOT = TESTS.parent
RECIPE = str(ROOT / "examples" / "mocker-disagg.yaml")
SMALL = ("resources.prefill_workers=1", "resources.decode_workers=1", "resources.decode_nodes=1")
INFRA_S = 5
HEALTH_S = 8
STOP_S = 6


def impatient(plan: Plan) -> Plan:
    """The same plan with short budgets."""

    def shorter(probe: Probe) -> Probe:
        return evolve(probe, timeout_s=INFRA_S if probe.stage == "infra" else HEALTH_S, interval_s=1)

    return evolve(
        plan,
        probes=tuple(map(shorter, plan.probes)),
        health=evolve(plan.health, timeout_s=HEALTH_S, interval_s=1),
        stop_timeout_s=STOP_S,
    )


Bundle = Callable[..., Path]


@pytest.fixture(scope="session")
def can_cluster() -> None:
    """Skip what needs a real Slurm where this machine cannot have one; under CI it fails."""
    if lacks := commands.missing():
        reason = f"no Slurm here, this machine lacks: {', '.join(lacks)}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


@pytest.fixture
def raise_cluster(can_cluster: None) -> Iterator[Callable[..., Cluster]]:  # noqa: ARG001 (it skips)
    """Raise clusters for tests that break nodes."""
    raised: list[Cluster] = []

    def up(*options: str, nodes: int = 2) -> Cluster:
        raised.append(Cluster.up("--proctrack=linuxproc", *options, nodes=nodes))
        return raised[-1]

    yield up
    for one in raised:
        one.down()


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """Compile the 1P+1D example with NATS, etcd, nginx and two nodes, with changes by --set."""

    def make(*sets: str, name: str = "bundle", profile: str = "") -> Path:
        site = tmp_path / "site.yaml"
        site.write_text(profile or "output_dir: null\n")
        (made,) = pipeline.compile_recipe(RECIPE, cluster=site, sets=(*SMALL, *sets))
        pipeline.write(pipeline.bundle(impatient(made.plan)), tmp_path / name)
        return tmp_path / name

    return make
