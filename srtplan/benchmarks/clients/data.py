"""Data sets of evaluations: a local file, or a cache of the Hugging Face hub that an earlier run filled.

``hf_home: /lustre/hf`` mounts that directory writable (the libraries lock what they read), checks it in the preflight, and
keeps the libraries offline::

    HF_HOME=/lustre/hf HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1

Without a copy, SP704 warns about the download.
"""

from __future__ import annotations

from collections.abc import Iterable

from srtplan.benchmarks.clients import checks
from srtplan.plugin import EnvVar, Finding, Input, Lit, Recipe

FIELD = "hf_home"


def check(recipe: Recipe, what: str, *copies: str) -> Iterable[Finding]:
    """Warn that ``what`` is downloaded, unless one of the fields ``copies`` or the cache is set."""
    names = [n for n in (*copies, FIELD) if hasattr(recipe.benchmark.options, n)]
    yield from checks.absolute_paths(recipe, *names)
    if not any(getattr(recipe.benchmark.options, n) for n in names):
        yield checks.download(recipe, what, *names)


def env(recipe: Recipe) -> tuple[EnvVar, ...]:
    """Return the variables of the hub's cache, if the recipe sets one."""
    home = _home(recipe)
    values = {"HF_HOME": home, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"} if home else {}
    return tuple(EnvVar(name=k, value=Lit(v)) for k, v in values.items())


def inputs(recipe: Recipe, *copies: str) -> tuple[Input, ...]:
    """Return the files and the cache."""
    home = _home(recipe)
    cache = (Input(path=home, why=f"benchmark.{FIELD}", writable=True),) if home else ()
    return (*checks.inputs(recipe, *copies), *cache)


def _home(recipe: Recipe) -> str:
    value: str | None = getattr(recipe.benchmark.options, FIELD, None)
    return value or ""
