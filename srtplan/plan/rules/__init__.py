"""Rules that need several sections of a recipe, the plugins or the placement.

In: a Recipe. Out: findings. Rules on one section are in ``config/rules``. Every rule has an id with a page in
``docs/reference/errors.md``.
"""
