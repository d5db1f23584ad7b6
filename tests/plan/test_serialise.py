"""The text of plan.json."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from srtplan.plan.show.serialise import indented

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec="utf-8"))
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=30
)


@given(values)
def test_it_is_the_text_of_the_standard_library(value: object) -> None:
    """Byte for byte what ``json.dumps`` writes with an indent of one."""
    assert indented(value) == json.dumps(value, indent=1, ensure_ascii=False)
