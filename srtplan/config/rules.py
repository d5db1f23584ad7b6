"""Rules on single sections of a draft; placeholder."""
from __future__ import annotations
from collections.abc import Iterator
from srtplan.config import resources
from srtplan.config.draft import Draft
from srtplan.diagnostics import Finding

def check(draft: Draft) -> Iterator[Finding]:
    """All rules."""
    if draft.counts is not None and draft.gpus_per_node is not None:
        yield from resources.check(draft.counts, draft.gpus_per_node)
