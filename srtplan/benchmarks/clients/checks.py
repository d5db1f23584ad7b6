"""Checks that several benchmarks share: what must be there, ranges, ladders of concurrencies, files.

In: a recipe whose options are structured. Out: findings at the fields of ``benchmark``::

    missing(recipe, "isl")            ->  SP701 at benchmark: "sa-bench needs 'isl'"
    least(recipe, {"num_shots": 0})   ->  SP702 at benchmark.num_shots: "num_shots must be at least 0"
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

import attrs

from srtplan.plugin import BenchmarkSection, Finding, Input, Recipe, engine

Ladder = tuple[int | str, ...] | str | None
MAX_RUNS = 1000
"""Runs of one benchmark: each is some lines of its launcher, and minutes of GPU time."""
MOST = 10**9
"""Of tokens, requests, threads: products of two are still numbers for bash."""
INFINITE = float("inf")
_DIGITS = re.compile(r"[0-9]{1,10}")


def missing(recipe: Recipe, *names: str) -> Iterable[Finding]:
    """Fields that the type cannot do without."""
    for name in names:
        if getattr(recipe.benchmark.options, name) in (None, ""):
            yield Finding(
                rule="SP701",
                path=recipe.benchmark.at,
                message=f"{recipe.benchmark.type} needs '{name}'",
                help=f"add `{name}:` to benchmark",
            )


def least(recipe: Recipe, bounds: Mapping[str, float]) -> Iterable[Finding]:
    """Numbers below what makes sense, or above all sense."""
    for name, low in bounds.items():
        value = getattr(recipe.benchmark.options, name)
        if value is not None and value < low:
            yield bad(recipe, name, f"must be at least {low:g}")
        elif value is not None and value > MOST:
            yield bad(recipe, name, f"must be at most {MOST}")


def bad(recipe: Recipe, name: str, says: str) -> Finding:
    """A field with a value that cannot be."""
    return Finding(rule="SP702", path=(*recipe.benchmark.at, name), message=f"{name} {says}")


def rungs(value: Ladder) -> tuple[int, ...] | None:
    """``"4x8"`` or a list as numbers; None if it is neither, or not from 1 to MOST, or empty."""
    items = value.split("x") if isinstance(value, str) else list(value or ())
    numbers = tuple(_rung(i) for i in items)
    return numbers if numbers and all(0 < n <= MOST for n in numbers) else None


def _rung(item: int | str) -> int:
    """A number, 0 for what is none."""
    if isinstance(item, int):
        return item
    return int(item) if _DIGITS.fullmatch(item.strip()) else 0


def ladder(recipe: Recipe, value: Ladder) -> Iterable[Finding]:
    """Concurrencies that are no ladder, or hold one twice."""
    steps = rungs(value)
    if value is not None and steps is None:
        yield bad(recipe, "concurrencies", f"must be positive numbers up to {MOST}, as [4, 8] or '4x8'")
    if len(steps or ()) > MAX_RUNS:
        yield bad(recipe, "concurrencies", f"has {len(steps or ())} values; at most {MAX_RUNS} runs are made")
        return
    for number in sorted(n for n, times in Counter(steps or ()).items() if times > 1):
        yield Finding(
            rule="SP707",
            path=(*recipe.benchmark.at, "concurrencies"),
            severity="warning",
            message=f"{number} stands twice and runs once: its second result would replace the first",
        )


def rate(value: float | str) -> str | None:
    """Requests per second as a client wants them, ``inf`` or ``2.5``; None if it is no rate."""
    try:
        number = float(value)
    except ValueError:
        return None
    if number == INFINITE:
        return "inf"
    return f"{number:.12g}" if number > 0 else None


def rated(recipe: Recipe, value: float | str) -> Iterable[Finding]:
    """A request rate that is none."""
    if rate(value) is None:
        yield bad(recipe, "req_rate", "must be a positive number of requests per second, or inf")


def absolute(recipe: Recipe, *names: str) -> Iterable[Finding]:
    """Files that a client reads: a relative path would depend on where a container starts."""
    for name in names:
        value = getattr(recipe.benchmark.options, name)
        if value and not value.startswith("/"):
            yield bad(recipe, name, "must be an absolute path, on the cluster or in the container")


def inputs(recipe: Recipe, *names: str) -> tuple[Input, ...]:
    """The files that are given, for mounts and preflight."""
    given = ((n, getattr(recipe.benchmark.options, n)) for n in names)
    return tuple(Input(path=v, why=f"benchmark.{n}") for n, v in given if v and v.startswith("/"))


def fetched(recipe: Recipe, what: str, *fields: str) -> Finding:
    """A file that a client gets from the network by itself; one of ``fields`` would name a copy."""
    names = " or ".join(f"`{field}:`" for field in fields)
    return Finding(
        rule="SP704",
        path=recipe.benchmark.at,
        severity="warning",
        message=f"{recipe.benchmark.type} downloads {what} when it starts, after the model is loaded",
        help=f"give a local copy by {names}" if names else "the client's node must reach the internet",
    )


def unused(recipe: Recipe, name: str, why: str) -> Finding:
    """A field that is given and changes nothing."""
    return Finding(
        rule="SP709",
        path=(*recipe.benchmark.at, name),
        on_key=True,
        severity="warning",
        message=f"{name} has no effect: {why}",
        help="remove it, or choose a client that can do it",
    )


def unbounded(recipe: Recipe) -> Iterable[Finding]:
    """``max_failed_share``, where no report counts failed requests."""
    if recipe.benchmark.max_failed_share != attrs.fields(BenchmarkSection).max_failed_share.default:
        yield unused(recipe, "max_failed_share", "no report of its client counts failed requests")


def image(recipe: Recipe, program: str, of: str, *, at: str = "type") -> Iterable[Finding]:
    """A client that only the image of one engine has; ``at`` is the field that chose it."""
    if engine(recipe.engine.type).client != of and not getattr(
        recipe.benchmark.options, "container_image", None
    ):
        yield Finding(
            rule="SP705",
            path=(*recipe.benchmark.at, at),
            message=f"{program} is not in the image of {recipe.engine.type}; the run would fail after the model is loaded",
            help="set benchmark.container_image to an image that has it",
        )
