"""Slurm's host lists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srtplan.rehearsal.slurm import hostlist


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("node0", ["node0"]),
        ("node[0-2]", ["node0", "node1", "node2"]),
        ("node[0-1,7],x", ["node0", "node1", "node7", "x"]),
        ("n[08-10]", ["n08", "n09", "n10"]),
        ("a-b[1],c", ["a-b1", "c"]),
    ],
)
def test_a_list_is_expanded_and_written_again(text: str, names: list[str]) -> None:
    """Ranges, leading zeros and several elements mean the names that Slurm gives them."""
    assert hostlist.expand(text) == names
    assert hostlist.expand(hostlist.compress(names)) == names


@pytest.mark.parametrize("text", ["x[1-2]y", "a[1", "a[x]", "a,,b", "a[]"])
def test_a_bad_list_is_an_error(text: str) -> None:
    """What Slurm does not read is refused, never read as something else."""
    with pytest.raises(ValueError, match="Invalid hostlist"):
        hostlist.expand(text)


def test_neighbours_are_written_as_a_range() -> None:
    """The short form is Slurm's: ranges of two or more, one pair of brackets for a prefix."""
    assert hostlist.compress([f"node{i}" for i in (0, 1, 2, 5)]) == "node[0-2,5]"
    assert hostlist.compress(["node0", "node1"]) == "node[0-1]"
    assert hostlist.compress(["node3"]) == "node3"
    assert hostlist.compress(["a", "b"]) == "a,b"


@given(
    st.lists(st.tuples(st.sampled_from(["n", "gpu-", "a1b"]), st.integers(0, 120), st.sampled_from([1, 3])))
)
def test_expanding_undoes_compressing(parts: list[tuple[str, int, int]]) -> None:
    """Any list of names survives the way to the short form and back, order included."""
    names = [f"{prefix}{number:0{width}d}" for prefix, number, width in parts]
    assert hostlist.expand(hostlist.compress(names)) == names
