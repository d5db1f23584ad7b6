"""YAML with positions: values, positions, errors, and speed."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
import yaml
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from srtplan.config import load
from srtplan.config.yaml import parse as module
from srtplan.config.yaml.parse import parse
from srtplan.config.yaml.source import read
from srtplan.config.yaml.tree import Mapping, Node, Origin, Sequence, at, data, spot
from srtplan.diagnostics import InputError
from srtplan.ir.data import freeze

SOON_S = 20.0
"""Processor seconds that only work which grows with a power of the input takes; less than two are usual."""


def tree(text: str) -> Node:
    """Return the root of a text."""
    node = parse(Origin("f.yaml", text))
    assert node is not None
    return node


def first_problem(text: str) -> str:
    """Return the rule and position of the first problem."""
    with pytest.raises(InputError) as caught:
        parse(Origin("f.yaml", text))
    first = next(iter(caught.value.report))
    return f"{first.rule} {first.line}:{first.column}"


def test_values_and_keys_have_positions() -> None:
    """A value, its key, and an item have line, column and width."""
    root = tree("model:\n  path: /models/r1\n  list: [1, 'two']\n")
    assert spot(root, ("model", "path"))[1:] == (2, 9, 10)
    assert spot(root, ("model", "path"), on_key=True)[1:] == (2, 3, 4)
    assert spot(root, ("model", "list", 1))[1:] == (3, 13, 5)


def test_a_missing_key_is_at_the_nearest_section() -> None:
    """The position of a missing path is the nearest key above it, or the first key of the document."""
    root = tree("model:\n  path: x\n")
    assert spot(root, ("model", "container"))[1:3] == (1, 1)
    assert spot(root, ("model", "path", "deeper"))[1:3] == (2, 3)
    assert spot(root, ("resources",))[1:3] == (1, 1)
    assert spot(root, ())[1:3] == (1, 1)


def test_keys_are_strings() -> None:
    """A key is never converted, whatever its form."""
    root = tree("8: a\ntrue: b\n1e3: c\n'x y': d\n~: e\n")
    assert isinstance(root, Mapping)
    assert list(root) == ["8", "true", "1e3", "x y", "~"]


def test_aliases_give_the_anchored_value() -> None:
    """An alias has the value of its anchor."""
    assert data(tree("a: &x {k: [1]}\nb: *x\nc: [*x, *x]")) == freeze(
        {"a": {"k": [1]}, "b": {"k": [1]}, "c": [{"k": [1]}, {"k": [1]}]}
    )


def test_merge_keys_set_defaults() -> None:
    """``<<`` accepts one mapping or several; the mapping's own keys take precedence, then the first merged mapping."""
    text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], a: 0}\nq: {'<<': *x}\n"
    root = tree(text)
    assert data(at(root, ("z",)) or root) == freeze({"a": 0, "b": 1, "c": 2})
    assert data(at(root, ("q",)) or root) == freeze({"<<": {"a": 1, "b": 1}})


def test_a_merged_value_keeps_its_position() -> None:
    """A value merged through ``<<`` has the position in the anchored mapping."""
    root = tree("x: &x {a: 1}\nz:\n  <<: *x\n")
    assert spot(root, ("z", "a")).line == 1


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a: 1\n\n a: 2\n", "SP103 3:3"),
        ("a: 1\nb: {c: 1,\n    c: 2}\n", "SP104 3:5"),
        ("{a: 1, a: 1}", "SP104 1:8"),
        ("a: !x 1", "SP105 1:4"),
        ("a: 1\n---\nb: 1\n", "SP105 2:1"),
        ("a: 1\n...\n---\n", "SP105 3:1"),
        ("%YAML 1.1\n---\na: 1", "SP105 1:1"),
        ("&a x: 1", "SP105 1:1"),
        ("a: &a x\n*a : 1", "SP105 2:1"),
        ("{[1]: 2}", "SP105 1:2"),
        ("a: &a [*a]", "SP106 1:8"),
        ("a: *b", "SP103 1:4"),
        ('a: "\\0"', "SP102 1:4"),
        ("a: @b", "SP103 1:4"),
        ("a: [1", "SP103 1:6"),
    ],
)
def test_unsupported_yaml_has_a_position(text: str, wanted: str) -> None:
    """Each unsupported construct is reported at its position."""
    assert first_problem(text) == wanted


def test_all_duplicates_are_reported_at_once() -> None:
    """Each repetition is a problem that names the position of the first."""
    with pytest.raises(InputError) as caught:
        parse(Origin("f", "a: 1\nb: 1\na: 2\nb: 2\na: 3\n"))
    found = [(p.line, p.message) for p in caught.value.report]
    assert [line for line, _ in found] == [3, 4, 5]
    assert "line 1, column 1" in found[2][1]


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
CHAIN = "a0: &a0 " + "[" * 50 + "]" * 50 + "\n" + "a1: &a1 " + "[" * 50 + "*a0" + "]" * 50 + "\n"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (BOMB, "SP106"),
        (CHAIN, "SP106"),
        ("[" * 100_000, "SP106"),
        ("{a: " * 100_000, "SP106"),
        ("- " * 100_000, "SP106"),
        ("- [\n" * 50_000, "SP103"),
        ("a: [" + "1, " * 300_000 + "]", "SP106"),
        ("a: '" + "x" * 900_000, "SP103"),
        ("? " * 1000, "SP105"),
        ("a: " + "&a " * 1000 + "1", "SP103"),
        ("*" * 900_000, "SP103"),
        ("a: |\n" + "\t" * 900_000 + "\n b", "SP103"),
        ("k: v\n" * 100_000, "SP104"),
    ],
    ids=["laughs", "deep aliases", "brackets", "braces", "dashes", "lines", "long", "quote", "marks", "anchors", "stars",
         "tabs", "repeated"],
)  # fmt: skip
def test_hostile_texts_are_refused_quickly(text: str, rule: str) -> None:
    """No text within the size limit takes two seconds, and each one ends in a problem."""
    start = time.process_time()
    assert first_problem(text).startswith(rule)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("raw", "rule", "line", "column"),
    [
        (b"name: caf\xe9\n", "SP102", 1, 10),
        (b"a: 1\nb: \x00\n", "SP102", 2, 4),
        (b"a: \x1b[31m\n", "SP102", 1, 4),
        ("a: 1\n".encode("utf-16"), "SP102", 1, 1),
        (b"\x7fELF\x02\x01\x01", "SP102", 1, 1),
        (b"\x89PNG\r\n\x1a\n", "SP102", 1, 1),
        (b"a: 1 #" + b"x" * 10_000_000, "SP101", 1, 1),
        (b"", "SP107", 1, 1),
        (b"# nothing\n", "SP107", 1, 1),
        (b"text\n", "SP107", 1, 1),
        (b"[1]\n", "SP107", 1, 1),
    ],
)
def test_files_that_are_not_recipes(raw: bytes, rule: str, line: int, column: int, tmp_path: Path) -> None:
    """Binary files, other encodings, 10 MB and empty files give one problem each, in less than two seconds."""
    (tmp_path / "f.yaml").write_bytes(raw)
    start = time.process_time()
    with pytest.raises(InputError) as caught:
        load("f.yaml", cwd=tmp_path, environ={})
    assert time.process_time() - start < SOON_S
    (problem,) = caught.value.report
    assert (problem.rule, problem.line, problem.column) == (rule, line, column)
    assert problem.render().isprintable() or "\n" in problem.render()


def test_unreadable_files_are_reported_by_name(tmp_path: Path) -> None:
    """A directory, a missing file and a pipe are reported under the name that the user gave."""
    os.mkfifo(tmp_path / "pipe.yaml")
    cases = (
        (".", "directory"),
        ("none.yaml", "no such file"),
        ("a\0b", "cannot be read"),
        ("pipe.yaml", "not a regular file"),
    )
    for name, part in cases:
        with pytest.raises(InputError) as caught:
            load(name, cwd=tmp_path, environ={})
        (problem,) = caught.value.report
        assert (problem.rule, problem.file) == ("SP101", name)
        assert part in problem.message


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    """A file with a byte order mark is read like any other."""
    (tmp_path / "f.yaml").write_bytes(b"\xef\xbb\xbfname: x\n")
    node = parse(read(tmp_path / "f.yaml", "f.yaml").origin)
    assert isinstance(node, Mapping)
    assert list(node) == ["name"]
    assert spot(node, ("name",))[1:3] == (1, 7)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_ends_do_not_matter(newline: str) -> None:
    """Positions do not depend on the line endings."""
    origin = Origin("f", newline.join(["a: 1", "b:", "  - x", "  - x: 1", "    x: 2"]))
    with pytest.raises(InputError) as caught:
        parse(origin)
    (problem,) = caught.value.report
    assert (problem.line, problem.column, problem.source) == (5, 5, "    x: 2")


@settings(max_examples=examples(300), deadline=None)
@given(st.text(alphabet=" \n-:[]{},#&*!|>'\"%@`?ab1\t~<", max_size=60))
def test_any_text_is_a_tree_or_a_problem(text: str) -> None:
    """Parsing gives a tree, nothing, or problems with valid positions."""
    try:
        parse(Origin("f", text))
    except InputError as error:
        for problem in error.report:
            assert problem.rule.startswith("SP10")
            assert 0 <= problem.line <= text.count("\n") + 1


@settings(max_examples=examples(200), deadline=None)
@given(st.text(alphabet=" \n-:[]{},#'\"ab1~", max_size=40))
def test_pure_python_and_libyaml_agree(text: str) -> None:
    """The fallback parser reads the same tree and rejects the same texts."""
    assert parse_result(text, pure=True) == parse_result(text, pure=False)


def parse_result(text: str, *, pure: bool) -> object:
    """Return the data of a text, or InputError if it is rejected."""
    compiled = module.CParser
    module.CParser = None if pure else compiled  # type: ignore[misc,assignment]
    try:
        node = parse(Origin("f", text))
    except InputError:
        return InputError
    finally:
        module.CParser = compiled  # type: ignore[misc]
    return None if node is None else data(node)


def test_libyaml_is_in_use() -> None:
    """The tests above compare two different parsers."""
    assert module.CParser is not None
    assert yaml.__with_libyaml__
    assert "yaml._yaml" in sys.modules
    assert isinstance(tree("[1]"), Sequence)
