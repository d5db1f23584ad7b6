"""From text to jobs: YAML with positions, layers, variants, structure, rules.

``load("recipe.yaml:small", cluster=None, sets=["benchmark.osl=64"]).jobs[0].recipe`` is a ``Recipe``. An ``InputError``
holds all problems of the input.
"""

from srtplan.config.load import Job, Loaded, load, recipes_below

__all__ = ["Job", "Loaded", "load", "recipes_below"]
