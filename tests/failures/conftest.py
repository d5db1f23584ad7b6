"""Fixtures of the failure matrix: bundles to break, and the real Slurm of tests/cluster."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "failures"), str(TESTS / "bundle"), str(TESTS / "cluster"), str(TESTS / "rig")]

import table  # noqa: E402 (found by the line above)
from breakable import RECIPE, SMALL, Bundle, quick  # noqa: E402
from slurm_cluster import commands  # noqa: E402
from slurm_cluster.client import Cluster  # noqa: E402

from srtplan import pipeline  # noqa: E402


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """A test compares all rows that it declares, and no other."""
    table.COMPARED.clear()
    result = yield
    assert table.declared(pyfuncitem) == table.COMPARED
    return result


def pytest_collection_finish(session: pytest.Session) -> None:
    """For test_table.py: which rows the tests declare."""
    if path := os.environ.get("SRTPLAN_FAILURES_ROWS"):
        rows = [key for item in session.items for key in sorted(table.declared(item))]
        Path(path).write_text(json.dumps(rows))


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

    def make(
        *sets: str, name: str = "bundle", profile: str = "", port_offset: int = 0, **budgets: int
    ) -> Path:
        site = tmp_path / "site.yaml"
        site.write_text(profile or "output_dir: null\n")
        options = pipeline.Options(port_offset=port_offset)
        (made,) = pipeline.compile_recipe(RECIPE, cluster=site, sets=(*SMALL, *sets), options=options)
        pipeline.write(pipeline.bundle(quick(made.plan, **budgets)), tmp_path / name)
        return tmp_path / name

    return make
