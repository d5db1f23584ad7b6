"""What every awk program of the project must keep to, so that each awk runs it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOKEN = re.compile(
    r"""
    (?P<comment>\#[^\n]*) | (?P<string>"(?:\\.|[^"\\])*")
    | (?:(?<=[(,~!&|{;=])|(?<=[(,~!&|{;=]\ )|(?<=return\ ))(?P<regex>/(?:\\.|\[(?:\]|\^\])?(?:\\.|[^\]\\])*\]|[^/\\\[\n])+/)
    | (?P<word>[A-Za-z_]\w*) | (?P<mark>[^\s])
    """,
    re.VERBOSE,
)
ELEMENT = re.compile(r"\w+ \[.*\]")


def tokens(program: str) -> list[str]:
    """Words and marks; texts and patterns are one token each, comments none."""
    found = []
    for match in TOKEN.finditer(program):
        kind = match.lastgroup
        if kind != "comment":
            found.append({"string": '""', "regex": "//"}.get(kind or "", match[0]))
    return found


def arguments(words: list[str], start: int) -> list[list[str]]:
    """The arguments of a call whose opening bracket stands at ``start``."""
    depth = 0
    found: list[list[str]] = [[]]
    for word in words[start:]:
        depth += (word in "([{") - (word in ")]}") if len(word) == 1 else 0
        if depth == 0:
            return found
        if depth == 1 and word == ",":
            found.append([])
        elif depth > 1 or word != "(":
            found[-1].append(word)
    return found


def bare_elements(program: str) -> list[str]:
    """Calls of the program's own functions that are given an element of an array as it is."""
    words = tokens(program)
    own = {after for word, after in itertools.pairwise(words) if word in {"function", "func"}}
    found = []
    for at, word in enumerate(words[:-1]):
        if word in own and words[at + 1] == "(" and words[at - 1] not in {"function", "func"}:
            given = [" ".join(argument) for argument in arguments(words, at + 1)]
            found += [
                f"{word}: {text}"
                for text in given
                if ELEMENT.fullmatch(text) and is_one_element(text.split())
            ]
    return found


def is_one_element(argument: list[str]) -> bool:
    """Tell whether an argument is a name and one pair of brackets, not two elements side by side."""
    depth = 0
    for at, word in enumerate(argument):
        depth += (word == "[") - (word == "]")
        if word == "]" and depth == 0:
            return at == len(argument) - 1
    return False


def programs() -> Iterator[tuple[str, str]]:
    """Every awk program of the library and the tests: files, and what stands in quotes behind awk in shell scripts."""
    for folder in ("templates", "tests", ".ci"):
        for path in sorted((ROOT / folder).rglob("*")):
            name = str(path.relative_to(ROOT))
            if path.suffix == ".awk":
                yield name, path.read_text()
            elif path.suffix in {".sh", ".j2"} or (
                path.name in {"run", "install", "stop"} and path.is_file()
            ):
                yield from ((name, text) for text in re.findall(r"\bawk [^'\n]*'([^']*)'", path.read_text()))


def test_programs_are_found() -> None:
    """The files and the one with a function of its own in a shell script."""
    names = [name for name, _ in programs()]
    assert {"templates/lib/record.awk", "templates/lib/json.awk", "tests/shell/flatten.awk"} <= set(names)
    assert any(name.endswith("preflight.sh") and "function hex" in text for name, text in programs())


@pytest.mark.parametrize(
    ("name", "program"), list(programs()), ids=lambda text: text if "\n" not in text else "-"
)
def test_no_element_of_an_array_is_passed_as_it_is(name: str, program: str) -> None:
    """gawk 5.3.2 ends with an internal error after a call with an element to which nothing was assigned: pass M["x"] ""."""
    assert bare_elements(program) == [], name


@pytest.mark.parametrize(
    ("call", "is_bare"),
    [
        ('f(M["x"])', True),
        ('f(1, M[a, "b" M["c"]])', True),
        ('f(g(M["x"]))', True),
        ('f(M["x"] "")', False),
        ("f(M[a] M[b])", False),
        ("f(M[a] + 0)", False),
        ("f(M)", False),
        ('length(M["x"])', False),
        ('f("M[x]")', False),
        ("f(x) # f(M[x])", False),
        ('x ~ /"f(M[y])/ && f("a")', False),
    ],
)
def test_the_look_at_calls_sees_what_it_should(call: str, *, is_bare: bool) -> None:
    """An element alone counts; one that is joined with a text or a number does not."""
    assert (
        bool(
            bare_elements(
                f"function f(a, b) {{ return a }}\nfunction g(a) {{ return a }}\nBEGIN {{ {call} }}"
            )
        )
        == is_bare
    )
