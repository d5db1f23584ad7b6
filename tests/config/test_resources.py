"""Nodes, workers and GPUs per worker."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srtplan.config.layouts.draft import Counts
from srtplan.config.layouts.resources import sizes
from srtplan.config.rules.resources import check
from srtplan.ir.recipe import Mode


def counts(
    mode: Mode, nodes: int | None = None, workers: int | None = None, gpus: int | None = None
) -> Counts:
    """Return the counts of a mode as a v1 document sets them."""
    return Counts(
        mode=mode,
        nodes=nodes,
        workers=workers,
        gpus=gpus,
        nodes_at=("resources", f"{mode}_nodes"),
        workers_at=("resources", f"{mode}_workers"),
        gpus_at=("resources", f"gpus_per_{mode}"),
    )


@pytest.mark.parametrize(
    ("given_counts", "per_node", "result"),
    [
        ([counts("prefill", 2, 4), counts("decode", 1, 1)], 4, {"prefill": (2, 4, 2), "decode": (1, 1, 4)}),
        ([counts("prefill", 2, 1), counts("decode", 1, 8)], 8, {"prefill": (2, 1, 16), "decode": (1, 8, 1)}),
        ([counts("prefill", 1, 3), counts("decode", 1, 1)], 8, {"prefill": (1, 3, 2), "decode": (1, 1, 8)}),
        (
            [counts("prefill", 1, 1, 4), counts("decode", 0, 2)],
            8,
            {"prefill": (1, 1, 4), "decode": (0, 2, 4)},
        ),
        (
            [counts("prefill", 1, 2), counts("decode", 0, 1, 2)],
            8,
            {"prefill": (1, 2, 4), "decode": (0, 1, 2)},
        ),
        (
            [counts("prefill", 1, 1), counts("decode", 2, 1, 12)],
            8,
            {"prefill": (1, 1, 8), "decode": (2, 1, 12)},
        ),
        ([counts("agg", None, 2)], 4, {"agg": (1, 2, 2)}),
        ([counts("agg", 4, 2)], 8, {"agg": (4, 2, 16)}),
        ([counts("prefill"), counts("decode"), counts("agg", 1, 1)], 8, {"agg": (1, 1, 8)}),
    ],
)
def test_sizes(given_counts: list[Counts], per_node: int, result: dict[str, object]) -> None:
    """Nodes are divided evenly, rounded down, unless the recipe sets the GPUs per worker."""
    assert sizes(given_counts, per_node) == result


@pytest.mark.parametrize(
    ("given_counts", "rules"),
    [
        ([counts("prefill", 1, 1), counts("decode", 1, 1)], []),
        ([counts("prefill", 1, 1), counts("decode", 0, 1)], []),
        ([counts("agg", None, 1)], []),
        ([counts("prefill", 0, 0), counts("decode", 0, 0), counts("agg", 1, 1)], []),
        ([counts("agg", 1, None)], ["SP222"]),
        ([], ["SP222"]),
        ([counts("prefill", 1, 1), counts("decode", 1, 1), counts("agg", 1, 1)], ["SP221"]),
        ([counts("prefill", 1, 1)], ["SP222"]),
        ([counts("decode", 1, 1)], ["SP222"]),
        ([counts("prefill", None, 1), counts("decode", 1, 1)], ["SP223"]),
        ([counts("prefill", None, 1), counts("decode", 0, 1)], ["SP223", "SP223"]),
        ([counts("prefill", 1, 9), counts("decode", 1, 1)], ["SP224"]),
        ([counts("prefill", 1, 3), counts("decode", 1, 1)], ["SP225"]),
        ([counts("prefill", 1, 3, 2), counts("decode", 1, 1)], []),
        ([counts("agg", 1, 10**30)], ["SP220"]),
        ([counts("prefill", -1, 1), counts("decode", 1, 1)], ["SP220"]),
        ([counts("prefill", 1, -1), counts("decode", 1, 1, 0)], ["SP220", "SP220"]),
    ],
)
def test_rules(given_counts: list[Counts], rules: list[str]) -> None:
    """Each contradiction of the counts has its rule; zero is the same as a missing count."""
    assert [f.rule for f in check(given_counts, 8)] == rules


SMALL = st.none() | st.integers(-1, 9)


@given(st.tuples(*(st.builds(counts, st.just(m), SMALL, SMALL, SMALL) for m in ("prefill", "decode", "agg"))))
def test_accepted_counts_have_workers_with_gpus(all_counts: tuple[Counts, ...]) -> None:
    """Valid counts have one mode or a pair, and every worker has a GPU and a node."""
    errors = [f for f in check(all_counts, 8) if f.severity == "error"]
    result = sizes(all_counts, 8) if not errors else {}
    assert errors or set(result) in ({"prefill", "decode"}, {"agg"})
    for mode, (nodes, workers, gpus) in result.items():
        assert workers > 0
        assert gpus > 0
        assert nodes > 0 or mode == "decode"
