"""No text of the project uses a retired phrase: one that is not idiomatic, or for which this field has another word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

ROOT = Path(__file__).parents[1]
NEAR = 150
"""Characters before and after a phrase."""


@frozen
class Phrase:
    """A retired phrase, what to write instead, and where it has another meaning: in these paths, or near these words."""

    pattern: str
    write: str
    allowed: str = r"\Z."
    near: str = r"\Z."

    def found(self, path: str, text: str) -> Iterator[str]:
        """Yield ``path:line: 'phrase'`` for each use; a space in the pattern also matches a line break and its indent."""
        if re.search(self.allowed, path):
            return
        for match in re.finditer(self.pattern.replace(" ", r"\s+(?:(?:#|//|\*)\s+)?"), text, re.IGNORECASE):
            if re.search(self.near, text[max(0, match.start() - NEAR) : match.end() + NEAR], re.IGNORECASE):
                continue
            line = text.count("\n", 0, match.start()) + 1
            yield f"{path}:{line}: {' '.join(match[0].split())!r}: write {self.write}"


NOUNS = (
    "address|bundle|character|class|command|count|directory|error|field|file|flag|folder|image|integer|job|key|line|list|"
    "mapping|measurement|mode|model|module|name|node|number|object|option|package|path|pipe|place|plan|plugin|port|process|"
    "recipe|reference|report|result|row|run|section|size|step|suffix|text|time|token|type|url|value|variable|variant|word"
)
INJECTED = r"rehears|tests/failures|failures\.md|faults\.py|faulty\.py|fault_kinds|stand_in"
"""Paths in which a fault is what a rehearsal or a test injects."""
RETIRED = (
    Phrase(r"\b(?:not|nothing|nobody|never|no)\b[^.;:]{0,60}\bany ?more\b", "'no longer'"),
    Phrase(r"\b(?:is|are|was|were|be|been) told\b", "'receives', 'is notified', or who reports it"),
    Phrase(r"\b(?:is|are|was|were|be|been) said\b", "'is reported', 'is set', 'is printed'"),
    Phrase(r"\blets? (?:it|them) be\b", "'leaves it unchanged', 'ignores it'"),
    Phrase(r"\bwhoever\b", "'the user', 'any process that'"),
    Phrase(r"\bwork(?:s|ed|ing)? (?:it |them )?out\b", "'compute'"),
    Phrase(r"\b(?:stands?|stood|standing) twice\b", "'is duplicated', 'appears twice'"),
    Phrase(rf"(?<!there\x20)\b(?:is|are) no (?:{NOUNS})s?\b", "'is not a ...'"),
    Phrase(r"\b(?:that|which) (?:is|are) (?-i:none)\b", "'that is not a ...'"),
    Phrase(r"\bfurther words\b", "'additional arguments'"),
    Phrase(r"[,;] for (?:he|it|she|they|there|we|nobody|nothing)\b", "'because'"),
    Phrase(r"\bhere and there\b", "the places"),
    Phrase(r"\ball the same\b", "'anyway', 'still'"),
    Phrase(r"\bshall\b", "'must', 'should' or 'will'"),
    Phrase(
        r"(?<![-.\w])(?<!segmentation\x20)(?<!protection\x20)faults?\b(?![(=])",
        "'error'",
        INJECTED,
        near="rehears|--fault",
    ),
    Phrase(r"\bsenseless\b", "'meaningless', 'invalid'"),
    Phrase(r"\bsomebody\b", "'another user', 'someone'"),
    Phrase(r"\bwished\b", "'wanted', 'requested'"),
    Phrase(r"\basked for\b", "'requested'"),
    Phrase(r"\b(?:recipe|profile|role|section)(?: \w+)? says\b", "'sets', 'has'"),
    Phrase(r"\bbeside\b", "'next to', 'in addition to'"),
    Phrase(r"\blikewise\b", "'also', 'the same'"),
    Phrase(r"\bthings?\b", "its name"),
)
EXEMPT = {
    "tests/test_language.py": "it lists the phrases",
    "tests/results/samples": "reports in the words of other programs",
    "tests/benchmarks/clients.json": "help texts of other programs",
}
"""Files and folders that are not searched, and why."""
PAGES = (
    ".ci/run", ".importlinter", "CHANGELOG.md", "CONTRIBUTING.md", "README.md", "justfile", "pyproject.toml",
)  # fmt: skip
TREES = ("bench", "docs", "examples", "golden", "srtplan", "templates", "tests", "tools")
NESTED = ("docs", "srtplan", "tests")
"""Trees of which each folder is an area of its own."""
BINARY = (".png", ".pyc")


def areas() -> dict[str, list[str]]:
    """The searched files by area: a folder, or the pages at the top."""
    found: dict[str, list[str]] = {"pages": list(PAGES)}
    for path in sorted(p for tree in TREES for p in (ROOT / tree).rglob("*") if p.is_file()):
        name = path.relative_to(ROOT).as_posix()
        if not path.name.endswith(BINARY) and not any(name.startswith(e) for e in EXEMPT):
            parts = name.split("/")
            area = "/".join(parts[:2]) if parts[0] in NESTED and len(parts) > 2 else parts[0]
            found.setdefault(area, []).append(name)
    return found


AREAS = areas()


@pytest.mark.parametrize("area", AREAS)
def test_no_text_has_a_retired_phrase(area: str) -> None:
    """Pages, messages, docstrings, comments and golden files: the failure lists each phrase with its replacement."""
    texts = {name: (ROOT / name).read_text() for name in AREAS[area]}
    found = [use for name, text in texts.items() for phrase in RETIRED for use in phrase.found(name, text)]
    assert not found, f"{len(found)} retired phrases in {area}:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("text", "is_retired"),
    [
        ("the worker is not ready any more", True),
        ("are there any more workers?", False),
        ("'8x' is no number", True),
        ("is not a number", False),
        ("killed, for it still ran", True),
        ("for it to run", False),
        ("what is\n    # told", True),
        ("a fault of one section", True),
        ("--fault agg_1:crash", False),
        ("Segmentation fault", False),
    ],
)
def test_a_phrase_is_found_by_its_meaning(text: str, is_retired: bool) -> None:  # noqa: FBT001
    """A phrase is found across lines and comments; good English with the same words is not."""
    assert any(True for phrase in RETIRED for _ in phrase.found("page.md", text)) == is_retired


def test_every_exemption_exists() -> None:
    """An exemption of a file that is gone would hide the next one of that name."""
    assert [path for path in EXEMPT if not (ROOT / path).exists()] == []
