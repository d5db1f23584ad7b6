"""From the tree to attrs classes.

In: a mapping of the tree and a class. Out: an instance, or findings at paths of the tree: unknown keys, wrong types,
unknown plugins. Uses cattrs with strict hooks.
"""
