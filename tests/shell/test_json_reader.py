"""json.awk against Python's json: every value, under every awk of this machine."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from effort import examples
from hypothesis import event, given, settings
from hypothesis import strategies as st

LIB = Path(__file__).resolve().parents[2] / "templates" / "lib"
FLATTEN = Path(__file__).parent / "flatten.awk"
AWKS = [a for a in ("awk", "mawk", "gawk", "original-awk") if shutil.which(a)] + (
    ["busybox awk"] if shutil.which("busybox") else []
)

# awk has no NUL in busybox, and a lone surrogate is not valid text
TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=12)
NUMBERS = st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
INDENTS = st.sampled_from([None, 0, 1, "\t"])


def read(awk: str, text: bytes) -> dict[str, tuple[str, str, str]] | None:
    """What json.awk makes of a text: kind, value and size by pointer; None if it is not JSON."""
    done = subprocess.run(
        [*awk.split(), "-f", LIB / "json.awk", "-f", FLATTEN],
        input=text,
        capture_output=True,
        check=True,
        env=os.environ | {"LC_ALL": "C"},
    )
    head, *lines = done.stdout.decode(errors="surrogateescape").split("\n")
    if head == "0":
        return None
    fields = (line.split("\t") for line in lines if line)
    return {unquote(pointer): (kind, unquote(value), size) for pointer, kind, value, size in fields}


def flatten(value: object, pointer: str = "") -> Iterator[tuple[str, tuple[str, str, str]]]:
    """The same by Python."""
    if isinstance(value, dict):
        yield pointer, ("object", "", str(len(value)))
        for key, item in value.items():
            yield from flatten(item, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        yield pointer, ("array", "", str(len(value)))
        for index, item in enumerate(value):
            yield from flatten(item, f"{pointer}/{index}")
    elif isinstance(value, str):
        yield pointer, ("string", value, "")
    elif isinstance(value, bool) or value is None:
        word = json.dumps(value)
        yield pointer, (word, word, "")
    else:
        yield pointer, ("number", json.dumps(value), "")


@pytest.mark.parametrize("awk", AWKS)
@given(document=DOCUMENTS, indent=INDENTS, ascii_only=st.booleans())
@settings(max_examples=examples(80), deadline=None)
def test_reads_what_python_writes(
    awk: str,
    document: object,
    indent: int | str | None,
    ascii_only: bool,  # noqa: FBT001 -- Hypothesis passes by name
) -> None:
    """Any document, in any layout, has the same values for json.awk as for Python."""
    event(type(document).__name__)
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    assert read(awk, text.encode()) == dict(flatten(document))


@given(text=st.text(st.sampled_from('{}[]":,\\/ \n01.eE+-truefalsn\x1f'), max_size=20))
@settings(max_examples=examples(300), deadline=None)
def test_accepts_what_python_accepts(text: str) -> None:
    """A text that is not JSON is not valid, and one that is, is; also where it is cut short."""
    try:
        json.loads(text)
        valid = True
    except ValueError:
        valid = False
    event(str(valid))
    got = read("awk", text.encode())
    if valid or not _several(text):
        assert (got is not None) == valid


def _several(text: str) -> bool:
    """Whether a text is several documents in a row, of which json.awk takes the last."""
    decoder, at, count = json.JSONDecoder(), 0, 0
    text = text.strip(" \t\r\n")
    while at < len(text):
        try:
            _, at = decoder.raw_decode(text, at)
        except ValueError:
            return False
        count += 1
        while at < len(text) and text[at] in " \t\r\n":
            at += 1
    return count > 1


@pytest.mark.parametrize("awk", AWKS)
@pytest.mark.parametrize(
    ("text", "pointer", "value"),
    [
        ('{"a": 1}\n{"a": 2}\n', "/a", "2"),
        ('{"a": {"x": 1}, "a": {"y": 2}}', "/a/y", "2"),
        ('"\\ud83d\\ude00"', "", "\N{GRINNING FACE}"),
        ('{"mean": NaN, "max": -Infinity}', "/max", "-Infinity"),
        ("[" * 500 + "7" + "]" * 500, "/0" * 500, "7"),
    ],
)
def test_reads_what_clients_write(awk: str, text: str, pointer: str, value: str) -> None:
    """JSON lines, repeated keys, surrogate pairs, Python's NaN and deep nesting are read."""
    got = read(awk, text.encode())
    assert got is not None
    assert got[pointer][1] == value


def test_a_repeated_key_replaces_all_below_it() -> None:
    """Of two members with one key the later one counts, as in Python."""
    got = read("awk", b'{"a": {"x": 1}, "a": [2]}')
    assert got == dict(flatten({"a": [2]}))


def test_a_report_of_megabytes_is_read_in_seconds() -> None:
    """Time grows with the size of a report, not with its square."""
    document = {
        "itls": [[0.125] * 100 for _ in range(2000)],
        "texts": ["x" * 1000] * 500,
        "total_output_tokens": 5,
    }
    got = read("awk", json.dumps(document).encode())
    assert got is not None
    assert got["/total_output_tokens"][1] == "5"
    assert math.isclose(float(got["/itls/1999/99"][1]), 0.125)
