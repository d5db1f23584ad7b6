"""From one file to several jobs.

In: the tree of a recipe file, the tree of the cluster profile, a selector and ``--set`` changes. Out: one merged tree per
job: ``base`` with its overrides, each combination of a ``sweep``, over the defaults of the profile.
"""
