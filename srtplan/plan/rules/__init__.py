"""Rules on a whole recipe: what several sections, the plugins or the placement decide together.

In: a Recipe. Out: findings. Rules on one section are in ``config/rules``. Every rule has an id with a page in
``docs/reference/errors.md``.
"""
