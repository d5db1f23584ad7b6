"""Which layout a recipe is written in, and so who lowers it, and what its paths mean.

``schema: 2`` is srtctl 2.x's; without the key it is v1, the layout of the recipes of 2025 and 2026.
"""

from __future__ import annotations

from srtplan.config.layouts import v1
from srtplan.config.layouts.draft import Context, Draft
from srtplan.config.yaml.tree import Mapping, Scalar, at
from srtplan.diagnostics import Path


def lower(tree: Mapping, context: Context) -> Draft:
    """The draft of a recipe in either layout."""
    node = tree.get("schema")
    if node is None:
        return v1.lower(tree, context)
    if isinstance(node, Scalar) and node.value == 2 and type(node.value) is int:  # noqa: PLR2004 -- its number
        from srtplan.config.layouts import v2  # noqa: PLC0415 -- its classes take time, and most recipes are v1

        return v2.lower(tree, context)
    draft = Draft(context=context)
    shown = repr(node.value) if isinstance(node, Scalar) else "this"
    hint = "write schema: 2, or leave it out for the layout before"
    draft.error("SP130", ("schema",), f"schema {shown} is not known", hint=hint)
    return draft


def path(tree: Mapping, path: Path) -> Path:
    """A v1 path as it is spelled in this document; one that stands there as it is was meant as it is."""
    if "schema" not in tree or at(tree, path) is not None:
        return path
    from srtplan.config.layouts import v2  # noqa: PLC0415 -- as above

    return v2.moved(path)
