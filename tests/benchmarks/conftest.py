"""Fixtures of the benchmark tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench_lab import Lab


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Return a Lab in its own directory, without a cluster profile."""
    monkeypatch.delenv("SRTSLURM_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return Lab(tmp_path)
