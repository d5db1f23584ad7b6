"""Checks shared by benchmarks: required fields, ranges, series of concurrencies, files.

In: a recipe with typed options. Out: findings at the fields of ``benchmark``::

    required(recipe, "isl")           ->  SP701 at benchmark: "sa-bench requires 'isl'"
    bounds(recipe, {"num_shots": 0})  ->  SP702 at benchmark.num_shots: "num_shots must be at least 0"
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

import attrs

from srtplan.plugin import BenchmarkSection, Finding, Input, Recipe, engine

Ladder = tuple[int | str, ...] | str | None
MAX_RUNS = 1000
"""The maximum number of runs: each adds lines to the launcher, and minutes of GPU time."""
MOST = 10**9
"""The maximum number of tokens, requests or threads: a product of two still fits bash's integers."""
INFINITE = float("inf")
_DIGITS = re.compile(r"[0-9]{1,10}")


def required(recipe: Recipe, *names: str) -> Iterable[Finding]:
    """Report required fields that are not set."""
    for name in names:
        if getattr(recipe.benchmark.options, name) in (None, ""):
            yield Finding(
                rule="SP701",
                path=recipe.benchmark.at,
                message=f"{recipe.benchmark.type} requires '{name}'",
                help=f"add `{name}:` under `benchmark:`",
            )


def bounds(recipe: Recipe, minimums: Mapping[str, float]) -> Iterable[Finding]:
    """Report numbers below their bound or above ``MOST``."""
    for name, low in minimums.items():
        value = getattr(recipe.benchmark.options, name)
        if value is not None and value < low:
            yield invalid(recipe, name, f"must be at least {low:g}")
        elif value is not None and value > MOST:
            yield invalid(recipe, name, f"must be at most {MOST}")


def invalid(recipe: Recipe, name: str, problem: str) -> Finding:
    """Return a finding for an invalid value."""
    return Finding(rule="SP702", path=(*recipe.benchmark.at, name), message=f"{name} {problem}")


def rungs(value: Ladder) -> tuple[int, ...] | None:
    """Return ``"4x8"`` or a list as numbers; None if it is neither, empty, or has a number outside 1 to ``MOST``."""
    items = value.split("x") if isinstance(value, str) else list(value or ())
    numbers = tuple(_rung(i) for i in items)
    return numbers if numbers and all(0 < n <= MOST for n in numbers) else None


def _rung(item: int | str) -> int:
    """Return an item as a number, or 0 if it is not one."""
    if isinstance(item, int):
        return item
    return int(item) if _DIGITS.fullmatch(item.strip()) else 0


def concurrencies(recipe: Recipe, value: Ladder) -> Iterable[Finding]:
    """Report invalid or duplicate concurrencies."""
    steps = rungs(value)
    if value is not None and steps is None:
        yield invalid(
            recipe, "concurrencies", f"must be positive integers up to {MOST}, such as [4, 8] or '4x8'"
        )
    if len(steps or ()) > MAX_RUNS:
        yield invalid(recipe, "concurrencies", f"has {len(steps or ())} values; the limit is {MAX_RUNS}")
        return
    for number in sorted(n for n, times in Counter(steps or ()).items() if times > 1):
        yield Finding(
            rule="SP707",
            path=(*recipe.benchmark.at, "concurrencies"),
            severity="warning",
            message=f"{number} is listed more than once; it runs only once",
        )


def rate(value: float | str) -> str | None:
    """Return requests per second as clients expect them, ``inf`` or ``2.5``; None if it is not a rate."""
    try:
        number = float(value)
    except ValueError:
        return None
    if number == INFINITE:
        return "inf"
    return f"{number:.12g}" if number > 0 else None


def request_rate(recipe: Recipe, value: float | str) -> Iterable[Finding]:
    """Report an invalid request rate."""
    if rate(value) is None:
        yield invalid(recipe, "req_rate", "must be a positive number of requests per second, or inf")


def absolute_paths(recipe: Recipe, *names: str) -> Iterable[Finding]:
    """Report relative paths: they would depend on the working directory of the container."""
    for name in names:
        value = getattr(recipe.benchmark.options, name)
        if value and not value.startswith("/"):
            yield invalid(recipe, name, "must be an absolute path, on the cluster or in the container")


def inputs(recipe: Recipe, *names: str) -> tuple[Input, ...]:
    """Return the files that the recipe names, for mounts and preflight."""
    values = ((n, getattr(recipe.benchmark.options, n)) for n in names)
    return tuple(Input(path=v, why=f"benchmark.{n}") for n, v in values if v and v.startswith("/"))


def download(recipe: Recipe, what: str, *fields: str) -> Finding:
    """Warn that a client downloads a file; one of ``fields`` can name a local copy instead."""
    names = " or ".join(f"`{field}:`" for field in fields)
    return Finding(
        rule="SP704",
        path=recipe.benchmark.at,
        severity="warning",
        message=f"{recipe.benchmark.type} downloads {what} when it starts, after the model is loaded",
        help=f"set {names} to a local copy"
        if names
        else "make sure that the client's node can reach the internet",
    )


def without_effect(recipe: Recipe, name: str, why: str) -> Finding:
    """Warn that a field has no effect."""
    return Finding(
        rule="SP709",
        path=(*recipe.benchmark.at, name),
        on_key=True,
        severity="warning",
        message=f"{name} has no effect: {why}",
        help="remove it, or use a client that supports it",
    )


def failed_share(recipe: Recipe) -> Iterable[Finding]:
    """Warn that ``max_failed_share`` has no effect, because no report counts failed requests."""
    if recipe.benchmark.max_failed_share != attrs.fields(BenchmarkSection).max_failed_share.default:
        yield without_effect(recipe, "max_failed_share", "the client's report does not count failed requests")


def client_image(recipe: Recipe, program: str, of: str, *, at: str = "type") -> Iterable[Finding]:
    """Report a client that only the image of engine ``of`` contains; ``at`` is the field that selected it."""
    if engine(recipe.engine.type).client != of and not getattr(
        recipe.benchmark.options, "container_image", None
    ):
        yield Finding(
            rule="SP705",
            path=(*recipe.benchmark.at, at),
            message=f"{program} is not in the image of {recipe.engine.type}; the run would fail after the model is loaded",
            help="set `container_image:` under `benchmark:` to an image that contains it",
        )
