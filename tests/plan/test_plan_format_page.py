"""``docs/reference/plan-format.md`` names every key of ``plan.json``, and no other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve
from made import plan, recipe

from srtplan.ir.plan import StandIn, Step
from srtplan.ir.recipe import Restart
from srtplan.plan.show.serialise import FORMAT, to_data

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "plan-format.md"
FREE = {"srun", "env", "ports", "parameters", "facts", "expect"}
"""Keys whose value has keys of the recipe, of Slurm or of an engine, which the page cannot list."""


def keys(value: object) -> Iterator[str]:
    """Every key below a value, except those that are free."""
    if isinstance(value, list):
        for item in value:
            yield from keys(item)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            if key not in FREE:
                yield from keys(inner)


def full() -> object:
    """The data of a Plan that has the optional keys, too."""
    made = plan(recipe("trtllm", resources={"prefill_workers": 2}, backend={"sequential_node_start": 1}))
    stand_in = StandIn(program="server", behavior="real", wrappers=("nsys",), report="{}")

    def filled(step: Step) -> Step:
        return evolve(step, restart=Restart(policy="always"), stand_in=stand_in)

    nodes = evolve(made.nodes, components=(1, 1))
    return to_data(evolve(made, nodes=nodes, steps=tuple(map(filled, made.steps))))


def written() -> set[str]:
    """The keys of that Plan and of every golden plan.json."""
    golden = [json.loads(p.read_text()) for p in (ROOT / "golden").rglob("plan.json")]
    assert golden
    return {key for value in (full(), *golden) for key in keys(value)}


@pytest.mark.usefixtures("alone")
def test_every_key_is_described() -> None:
    """A key that serialise.py adds is named on the page."""
    named = set(re.findall(r"`(\w+)`", PAGE.read_text()))
    assert sorted(written() - named) == []


@pytest.mark.usefixtures("alone")
def test_every_described_key_exists() -> None:
    """The first column of a table has no key that a Plan no longer has."""
    tables = re.findall(r"^\| key \| holds \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE.read_text(), re.MULTILINE)
    described = {
        key
        for table in tables
        for row in table.splitlines()
        for key in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    assert described
    assert sorted(described - written()) == []


def test_the_format_is_the_current_one() -> None:
    """The page is of the format that is written."""
    assert f"`{FORMAT}`" in PAGE.read_text()
