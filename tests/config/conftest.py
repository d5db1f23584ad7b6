"""Fixtures for tests of ``config``: a folder for recipes, and a small recipe."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "config")]

from documents import SMALL, Folder  # noqa: E402 (found by the line above)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty folder for recipes."""
    return Folder(tmp_path)


@pytest.fixture
def small() -> str:
    """The text of a small, valid recipe."""
    return SMALL
