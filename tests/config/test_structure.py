"""Strict structuring: valid and invalid values of each type, and their messages."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from attrs import field, frozen
from documents import SMALL, Folder

from srtplan.config.typed.hooks import describe
from srtplan.config.typed.structure import structure
from srtplan.config.yaml.parse import parse
from srtplan.config.yaml.tree import Origin
from srtplan.diagnostics import Finding
from srtplan.ir.data import Data, Map, freeze
from srtplan.ir.recipe import Pairs


@frozen(kw_only=True)
class Inner:
    """A nested section."""

    port: int
    ratio: float = 1.0


@frozen(kw_only=True)
class Outer:
    """A section with a field of every kind."""

    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    by_name: dict[str, Inner] = field(factory=dict)
    env: Pairs = ()
    free: Map | None = None
    any: Data = None
    ladder: tuple[int | str, ...] | str | None = None
    mode: Literal["a", "b"] | None = None
    flag: bool = False
    lambda_: int = field(default=0, metadata={"key": "lambda"})


def structured(text: str, kind: Any = Outer) -> tuple[Any, list[Finding]]:
    """Return the instance of a text, and the findings."""
    node = parse(Origin("f", text))
    assert node is not None
    findings: list[Finding] = []
    return structure(node, kind, ("top",), findings), findings


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("inner: {port: 1, ratio: 2}", "inner", Inner(port=1, ratio=2.0)),
        ("inner: null", "inner", None),
        ("many: [{port: 1}, {port: 2}]", "many", (Inner(port=1), Inner(port=2))),
        ("by_name: {x: {port: 1}}", "by_name", {"x": Inner(port=1)}),
        ("env: {B: b, A: ''}", "env", (("B", "b"), ("A", ""))),
        ("free: {x: [1, {y: null}]}", "free", freeze({"x": [1, {"y": None}]})),
        ("any: [1, [x]]", "any", (1, ("x",))),
        ("any: {a: 1}", "any", freeze({"a": 1})),
        ("ladder: 4x8", "ladder", "4x8"),
        ("ladder: [4, '8']", "ladder", (4, "8")),
        ("ladder:", "ladder", None),
        ("mode: a", "mode", "a"),
        ("flag: true", "flag", True),
        ("lambda: 5", "lambda_", 5),
    ],
)
def test_valid_values(text: str, name: str, value: object) -> None:
    """Every kind of field accepts values of its type, unchanged."""
    instance, findings = structured(text)
    assert findings == []
    assert getattr(instance, name) == value
    assert type(getattr(instance, name)) is type(value)


@pytest.mark.parametrize(
    ("text", "path", "rule", "part"),
    [
        ("inner: 5", ("inner",), "SP112", "must be a mapping, not the number 5"),
        ("inner: {}", ("inner", "port"), "SP111", "missing key 'port' in top.inner"),
        ("inner: {port: '1'}", ("inner", "port"), "SP112", "must be an integer, not the string '1'"),
        ("inner: {port: true}", ("inner", "port"), "SP112", "not true"),
        ("inner: {port: 1.0}", ("inner", "port"), "SP112", "not the number 1.0"),
        ("inner: {port: 1, ratio: '2'}", ("inner", "ratio"), "SP112", "must be a number"),
        ("many: [{port: 1}, {prt: 2}]", ("many", 1, "port"), "SP111", "missing key 'port' in top.many.1"),
        ("many: {port: 1}", ("many",), "SP112", "must be a list of mappings, not a mapping"),
        ("by_name: {x: {port: y}}", ("by_name", "x", "port"), "SP112", "must be an integer"),
        ("env: {A: 1}", ("env", "A"), "SP112", "must be a string, not the number 1"),
        ("env: [A]", ("env",), "SP112", "must be a mapping of strings, not a list"),
        ("ladder: [[1]]", ("ladder", 0), "SP112", "must be an integer or a string, not a list"),
        ("ladder: 4", ("ladder",), "SP112", "must be a string or a list of integers or strings, not the number 4"),
        ("mode: c", ("mode",), "SP113", "must be one of 'a', 'b', not the string 'c'"),
        ("flag: yes", ("flag",), "SP112", "must be true or false, not the string 'yes'"),
        ("lambda_: 5", ("lambda_",), "SP110", "unknown key 'lambda_'"),
        ("lambda: x", ("lambda",), "SP112", "top.lambda must be an integer"),
    ],
)  # fmt: skip
def test_invalid_values(text: str, path: tuple[str | int, ...], rule: str, part: str) -> None:
    """The path is that of the value, and the message names the expected type and the value."""
    _, findings = structured(text)
    assert (findings[0].path, findings[0].rule) == (("top", *path), rule)
    assert part in findings[0].message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("env: {A: 1}", 'quote it: "1"'),
        ("env: {A: 0x1F}", 'quote it: "0x1F"'),
        ("inner: {port: '8'}", "remove the quotes: 8"),
        ("flag: yes", "write true or false; in YAML 1.2, yes, no, on and off are strings"),
        ("flag:", "remove the key to use the default, or write a value"),
        ("mode: A", "did you mean 'a'?"),
        ("innr: {}", "did you mean 'inner'?"),
        ("by-name: {}", "did you mean 'by_name'?"),
    ],
)
def test_the_help_names_what_to_write(text: str, hint: str) -> None:
    """The help is the text to write."""
    _, (finding,) = structured(text)
    assert finding.help == hint


def test_unknown_keys_do_not_prevent_the_instance() -> None:
    """A section with unknown keys is still structured, so that later rules can check it."""
    instance, findings = structured("{flag: true, inner: {port: 1, prot: 2}, x: 1}")
    assert instance == Outer(flag=True, inner=Inner(port=1))
    assert [f.path for f in findings] == [("top", "inner", "prot"), ("top", "x")]


def test_all_problems_of_a_section_are_reported() -> None:
    """Structuring does not stop at the first problem."""
    instance, findings = structured("{inner: {ratio: x}, many: [1, {port: y}], env: {A: 1, B: 2}, z: 1}")
    assert instance is None
    assert sorted(f.rule for f in findings) == ["SP110", "SP111", *["SP112"] * 5]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (int, "an integer"),
        (tuple[str, ...], "a list of strings"),
        (tuple[int | float, ...] | None, "a list of integers or numbers"),
        (dict[str, int], "a mapping of integers"),
        (dict[str, tuple[str, ...]], "a mapping of lists of strings"),
        (Literal["x"], "one of 'x'"),
        (Map | bool | None, "a mapping or true or false"),
        (Data, "anything"),
    ],
)
def test_names_of_types(kind: Any, words: str) -> None:
    """Messages and the reference name types without Python terms."""
    assert describe(kind) == words


def test_origin_of_a_value(folder: Folder) -> None:
    """The origin is a line of the recipe or profile, the setting, or ``default``."""
    job = folder.job(
        SMALL + "environment: {A: x}\n",
        "resources.agg_workers=2",
        profile="default_account: me\nmodel_paths: {x: /y}\n",
    )
    assert job.origin(("environment", "A")) == "recipe.yaml:5"
    assert job.origin(("resources", "agg_workers")) == "--set resources.agg_workers=2"
    assert job.origin(("slurm", "account")) == "srtslurm.yaml:1"
    assert job.origin(("slurm", "time_limit")) == "default"
