"""From text to a tree.

In: the bytes of a YAML file, or the text of a ``--set`` value. Out: a tree of mappings, sequences and scalars, each with
its file, line and column; or problems at these positions. Nothing in this package depends on the content of a recipe.
"""
