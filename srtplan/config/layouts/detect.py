"""The layout of a recipe: which module lowers it, and what a v1 path is called in it.

``schema: 2`` is the layout of srtctl 2.x. Without the key a recipe is v1, the layout of 2025 and 2026.
"""

from __future__ import annotations

from srtplan.config.layouts import v1
from srtplan.config.layouts.draft import Context, Draft
from srtplan.config.yaml.tree import Mapping, Scalar, at
from srtplan.diagnostics import Path


def lower(tree: Mapping, context: Context) -> Draft:
    """Return the draft of a recipe in either layout."""
    node = tree.get("schema")
    if node is None:
        return v1.lower(tree, context)
    if isinstance(node, Scalar) and node.value == 2 and type(node.value) is int:  # noqa: PLR2004 -- the number of the layout
        from srtplan.config.layouts import v2  # noqa: PLC0415 -- slow to import, and most recipes are v1

        return v2.lower(tree, context)
    draft = Draft(context=context)
    shown = repr(node.value) if isinstance(node, Scalar) else "this"
    hint = "write `schema: 2`, or remove the key for layout v1"
    draft.error("SP130", ("schema",), f"unknown schema {shown}", hint=hint)
    return draft


def path(tree: Mapping, path: Path) -> Path:
    """Return a v1 path as this document spells it; a path that exists in the document is returned unchanged."""
    if "schema" not in tree or at(tree, path) is not None:
        return path
    from srtplan.config.layouts import v2  # noqa: PLC0415 -- as above

    return v2.moved(path)
