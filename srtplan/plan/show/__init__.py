"""The Plan in readable forms.

In: a Plan. Out: ``plan.json`` for programs, ``plan.txt`` for people, and the environment by scope for ``dry-run``.
"""
