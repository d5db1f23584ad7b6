"""Which layout a recipe is written in, and so who lowers it.

``schema: 2`` is srtctl 2.x's; without the key it is v1, the layout of the recipes of 2025 and 2026.
"""

from __future__ import annotations

from srtplan.config import v1
from srtplan.config.draft import Context, Draft
from srtplan.config.tree import Mapping


def lower(tree: Mapping, context: Context) -> Draft:
    """The draft of a recipe in either layout."""
    return v1.lower(tree, context)
