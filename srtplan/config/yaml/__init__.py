"""Text to tree.

In: the bytes of a YAML file, or the text of a ``--set`` value. Out: a tree of mappings, sequences and scalars, each
with the file, line and column that it came from; or problems at those places. Nothing here knows a recipe.
"""
