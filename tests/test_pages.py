"""Pages for contributors name files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMED = re.compile(r"`((?:srtplan|templates|tests|docs|bench|golden)/[A-Za-z0-9_./-]+)`")


@pytest.mark.parametrize(
    "page", ["CONTRIBUTING.md", "docs/explanation/architecture.md", "docs/reference/shell-style.md"]
)
def test_files_named_in_a_page_exist(page: str) -> None:
    """If a module moves, the pages must be updated."""
    named = NAMED.findall((ROOT / page).read_text())
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
