"""Merged tree to Recipe.

In: the tree of one job, in srtctl's v1 layout or in ``schema: 2``. Out: a ``Draft`` that becomes a Recipe once it has
no errors. ``detect`` chooses the layout, ``v1`` and ``v2`` lower it, and ``*_sections`` declare its keys.
"""
