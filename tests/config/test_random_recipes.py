"""Properties of random recipes: shuffled keys, mutations, damaged text."""

from __future__ import annotations

import random

import yaml
from documents import RICH, RICH2, SMALL, Folder
from effort import examples
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from srtplan.diagnostics import InputError, Problem

FREE = ("args", "prefill", "decode", "aggregated", "nested")
QUIET = settings(
    max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ODD = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        2.5,
        "",
        "x",
        "8",
        "a/b",
        "a\nb",
        "$NOPE",
        "{",
        [],
        [1],
        {},
        {"x": 1},
        {"type": "x"},
        "hf:",
        10**30,
        "é",
    ]
)


def shuffled(value: object, chance: random.Random, *, free: bool = False) -> object:
    """Return the document with the keys of its sections shuffled; free mappings keep their order."""
    if isinstance(value, dict):
        pairs = list(value.items())
        if not free:
            chance.shuffle(pairs)
        return {
            k: shuffled(v, chance, free=free or k in FREE or str(k).endswith("environment")) for k, v in pairs
        }
    return value


@settings(
    max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from([SMALL, RICH, RICH2]), st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(folder: Folder, text: str, chance: random.Random) -> None:
    """A document with its keys in any order gives the same recipe, except for the checksum of the file."""
    other = yaml.safe_dump(shuffled(yaml.safe_load(text), chance), sort_keys=False)
    one, two = folder.job(text).recipe, folder.job(other).recipe
    free = ("environment", "sbatch_directives")
    for name in set(one.__slots__) - {"source", *free, "__weakref__"}:
        assert getattr(one, name) == getattr(two, name), name
    for name in free:
        assert dict(getattr(one, name)) == dict(getattr(two, name))


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the paths of all values of a document."""
    if isinstance(value, dict):
        inner = [p for k, v in value.items() for p in places(v, (*path, k))]
    elif isinstance(value, list):
        inner = [p for n, v in enumerate(value) for p in places(v, (*path, n))]
    else:
        inner = []
    return [*([path] if path else []), *inner]


def mutate(value: object, path: tuple[str | int, ...], how: str, new: object) -> None:
    """Change a document in place: replace a value, remove a key, rename it, or add another."""
    for step in path[:-1]:
        value = value[step]  # type: ignore[index]
    key = path[-1]
    if how == "replace" or isinstance(value, list):
        value[key] = new  # type: ignore[index]
    elif how == "remove":
        del value[key]  # type: ignore[attr-defined]
    elif how == "rename":
        value[f"{key}x"] = value.pop(key)  # type: ignore[index,attr-defined]
    else:
        value[f"new_{key}"] = new  # type: ignore[index]


@QUIET
@given(st.data(), st.sampled_from([RICH, RICH2]), st.integers(1, 3))
def test_a_changed_recipe_is_valid_or_has_positions(
    folder: Folder, data: st.DataObject, text: str, times: int
) -> None:
    """Any change gives a valid recipe, or problems with positions in the file; never a traceback."""
    document = yaml.safe_load(text)
    for _ in range(times):
        path = data.draw(st.sampled_from(places(document)))
        mutate(
            document, path, data.draw(st.sampled_from(["replace", "remove", "rename", "add"])), data.draw(ODD)
        )
    written = yaml.safe_dump(document, allow_unicode=True)
    problems = errors_of(folder, written)
    event("refused" if problems else "accepted")
    for p in problems:
        assert p.file == "recipe.yaml"
        assert 0 <= p.line <= written.count("\n") + 1
        assert not p.line or p.column <= len(p.source) + 1


@QUIET
@given(st.data())
def test_a_damaged_text_never_raises(folder: Folder, data: st.DataObject) -> None:
    """Deleting, inserting and replacing characters gives a recipe or problems."""
    text = RICH
    for _ in range(data.draw(st.integers(1, 4))):
        n = data.draw(st.integers(0, len(text) - 1))
        new = data.draw(st.text(alphabet=" \n\t:-[]{}'\"#&*!|>%@,ab1", max_size=3))
        text = text[:n] + new + text[n + data.draw(st.integers(0, 3)) :]
    problems = errors_of(folder, text)
    event("refused" if problems else "accepted")


def errors_of(folder: Folder, text: str) -> list[Problem]:
    """Return the errors of a text."""
    try:
        folder.load(text)
    except InputError as error:
        return list(error.report.errors) or ["an InputError without errors"]  # type: ignore[list-item]
    return []


def test_all_problems_are_reported_in_source_order(folder: Folder) -> None:
    """Problems of different kinds in different sections are reported together, sorted by line."""
    found = folder.problems(
        "name: a/b\nmodel: {path: r1, precision: 8, container: /i}\n"
        "resources: {gpu_type: x, agg_workers: 0, het: 1}\nbackend: {type: mocker, block_size: x}\n"
        'environment: {"1A": x}\nhealth_check: {max_attempts: 0}\n'
    )
    assert [p.line for p in found] == sorted(p.line for p in found)
    assert [p.rule for p in found] == ["SP201", "SP112", "SP222", "SP110", "SP112", "SP202", "SP230"]
