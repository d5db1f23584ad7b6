"""Plain scalars by the core schema of YAML 1.2."""

from __future__ import annotations

import json
import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from srtplan.config.yaml.parse import parse
from srtplan.config.yaml.scalars import resolve, show
from srtplan.config.yaml.tree import Origin, data
from srtplan.ir.data import freeze

TEXTS = (
    "yes",
    "no",
    "on",
    "off",
    "y",
    "n",
    "4:00:00",
    "04:00",
    "1_000",
    "0b1",
    "2026-01-27",
    "1e",
    ".",
    "-",
    "0x",
    "0o8",
)


@pytest.mark.parametrize("text", TEXTS)
def test_values_of_yaml_1_1_are_strings(text: str) -> None:
    """Booleans by other names, base 60, dates, underscores and binary numbers are strings."""
    assert resolve(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("Null", None), ("true", True), ("FALSE", False),
        ("8", 8), ("-8", -8), ("+8", 8), ("0123", 123), ("0o17", 15), ("0x1F", 31),
        ("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("1e-5", 1e-5), ("1E5", 1e5), ("-.inf", -math.inf), (".Inf", math.inf),
    ],
)  # fmt: skip
def test_constants_and_numbers(text: str, value: object) -> None:
    """Each form of the schema has its value and type."""
    found = resolve(text)
    assert found == value
    assert type(found) is type(value)


def test_not_a_number_is_a_float() -> None:
    """``.nan`` is a float."""
    assert math.isnan(float(str(resolve(".nan"))))


def test_very_long_numbers_are_strings() -> None:
    """Python refuses to convert numbers of thousands of digits."""
    assert resolve("1" * 5000) == "1" * 5000


@given(st.text())
def test_every_text_has_a_value(text: str) -> None:
    """The resolver never fails, and does not change strings."""
    value = resolve(text)
    assert not isinstance(value, str) or value == text


@given(st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False))
def test_show_and_resolve_are_inverse(value: float | None) -> None:
    """``resolve`` returns the scalar that ``show`` wrote."""
    assert resolve(show(value).replace("inf", ".inf")) == value


def nested(text: st.SearchStrategy[str]) -> st.SearchStrategy[object]:
    """Return a strategy for data of YAML and JSON with strings of a kind."""
    scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    return st.recursive(
        scalars | text,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text.filter(bool), inner, max_size=4),
        max_leaves=12,
    )


PRINTABLE = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cn"), exclude_characters="\ufeff")
)
PLAIN = st.text(st.characters(min_codepoint=32, max_codepoint=126)).filter(lambda t: resolve(t) == t)


def read(text: str) -> object:
    """Return the data of a document."""
    node = parse(Origin("x", text))
    assert node is not None
    return data(node)


@given(nested(PRINTABLE))
def test_json_is_read_as_json(value: object) -> None:
    """YAML 1.2 contains JSON: output of Python's JSON writer is read as the same data."""
    assert read(json.dumps(value, ensure_ascii=False)) == freeze(value)


@given(nested(PLAIN))
def test_pyyaml_output_is_read_as_the_same_data(value: object) -> None:
    """Block style and plain strings give the same data where YAML 1.1 and 1.2 agree."""
    assert read(yaml.safe_dump(value, allow_unicode=True, sort_keys=False)) == freeze(value)
