"""One file, several jobs.

In: the tree of a recipe file, the cluster profile's tree, a selector and ``--set`` changes. Out: one merged tree per
job: ``base`` with its overrides, each combination of a ``sweep``, and the profile's defaults below.
"""
