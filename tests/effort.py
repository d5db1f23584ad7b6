"""How thorough the tests of this run are: ``SRTPLAN_EFFORT=quick`` (as in ``just unit``) takes fewer generated examples.

@settings(max_examples=examples(150))
@given(...)
"""

from __future__ import annotations

import os

from hypothesis import settings

VARIABLE = "SRTPLAN_EFFORT"
SHARED = "SRTPLAN_TESTS_SHARED"
"""Names a folder for this run of the tests and all its workers (tests/conftest.py makes and removes it)."""
IS_QUICK = os.environ.get(VARIABLE) == "quick"
SHARE = 8
"""A quick run takes one example in so many."""
LEAST = 5
DEFAULT = 100


def examples(full: int) -> int:
    """Return the number of examples for this run; ``full`` is that of CI."""
    return max(LEAST, full // SHARE) if IS_QUICK else full


def load_profile() -> None:
    """Set Hypothesis's defaults. No example has a deadline, because the machine may be busy."""
    settings.register_profile("srtplan", max_examples=examples(DEFAULT), deadline=None)
    settings.load_profile("srtplan")
