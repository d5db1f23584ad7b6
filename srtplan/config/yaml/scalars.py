"""The values of plain (unquoted) YAML scalars in the core schema of YAML 1.2.

``8`` is 8, ``0o17`` is 15, ``1e-5`` is a float; ``yes``, ``on`` and ``4:00:00`` are strings::

    resolve("0x1F")   ->  31
    resolve("04:00")  ->  "04:00"

Source: YAML 1.2.2, section 10.3.2. PyYAML's own resolver follows YAML 1.1, which reads ``4:00:00`` as 14400.
"""

from __future__ import annotations

import re

from srtplan.ir.data import Scalar

_CONSTANTS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((f"{s}.{i}" for s in ("", "+") for i in ("inf", "Inf", "INF")), float("inf")),
    **dict.fromkeys((f"-.{i}" for i in ("inf", "Inf", "INF")), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_FIRST = frozenset("0123456789+-.")
_NUMBER = re.compile(
    r"([-+]?[0-9]+)|0o([0-7]+)|0x([0-9a-fA-F]+)|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?",
    re.ASCII,
)
_BASES = {1: 10, 2: 8, 3: 16}
"""Bases of the groups above; without a group it is a float."""
MAX_DIGITS = 400
"""Longer numbers stay strings: Python refuses to convert very long ones, and no option has them."""


def resolve(text: str) -> Scalar:
    """Return the value of a plain scalar."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in _FIRST or len(text) > MAX_DIGITS:
        return text
    match = _NUMBER.fullmatch(text)
    if match is None:
        return text
    group = match.lastindex
    return int(match[group], _BASES[group]) if group else float(text)


def show(value: Scalar) -> str:
    """Return a value as one line of YAML, for messages and for text that a sweep fills in."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
