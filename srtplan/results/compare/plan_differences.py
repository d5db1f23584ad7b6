"""Differences between two plans. A change that many steps have in common is one line.

In: two ``plan.json`` as data. Out: lines::

    ~ benchmark.parameters.isl: 1024 -> 4096
    - steps.decode_* (8).argv: --mem-fraction-static 0.8
    + steps.decode_* (8).argv: --mem-fraction-static 0.9
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from srtplan.results.read.model import members
from srtplan.results.read.run_files import read_plan

IGNORED_PATHS = re.compile(r"recipe\.sha256|format|benchmark\.runs\..*")
"""Paths that are not reported: they follow from other values, or repeat values of the steps."""


def diff_runs(a: Path, b: Path) -> list[str]:
    """Differences between the plans of two run directories; a sentence instead if a plan is missing or invalid."""
    plans = [read_plan(run) for run in (a, b)]
    if lacks := [run for run, plan in zip((a, b), plans, strict=True) if not plan]:
        return [f"(not compared: bundle/plan.json is missing or invalid in {' and '.join(map(str, lacks))})"]
    return diff_plans(*plans)


def diff_plans(a: Mapping[str, object], b: Mapping[str, object]) -> list[str]:
    """Differences between two plans, one line for each change and group of similar steps."""
    before, after = dict(_flatten(a, "")), dict(_flatten(b, ""))
    groups: dict[tuple[str, str], list[str]] = {}
    for path in sorted({*before, *after}):
        if IGNORED_PATHS.fullmatch(path) or before.get(path) == after.get(path):
            continue
        for line in _describe_change(before.get(path), after.get(path)):
            groups.setdefault((_without_step_number(path), line), []).append(path)
    return [f"{line[0]} {_display_path(family, paths)}{line[1:]}" for (family, line), paths in groups.items()]


def _display_path(family: str, paths: list[str]) -> str:
    return paths[0] if len(paths) == 1 else family.replace("*", f"* ({len(paths)})", 1)


def _without_step_number(path: str) -> str:
    """The path with ``*`` for the number of a step: ``steps.decode_*.argv`` for ``steps.decode_3.argv``."""
    return re.sub(r"_\d+(_r\d+)?\.", "_*.", path, count=1)


def _describe_change(a: str | tuple[str, ...] | None, b: str | tuple[str, ...] | None) -> Iterator[str]:
    if isinstance(a, tuple) or isinstance(b, tuple):
        old, new = a or (), b or ()
        yield from (f"-: {item}" for item in old if item not in new)
        yield from (f"+: {item}" for item in new if item not in old)
        if sorted(old) == sorted(new):
            yield "~: order changed"
    elif a is None:
        yield f"+: {b}"
    elif b is None:
        yield f"-: {a}"
    else:
        yield f"~: {a} -> {b}"


def _flatten(value: object, path: str) -> Iterator[tuple[str, str | tuple[str, ...]]]:
    """Paths and their values. Objects in a list are identified by ``name`` or ``path``; a flag keeps its value."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flatten(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and (key := _identifying_key(value)):
        for inner in value:
            yield from _flatten({k: v for k, v in inner.items() if k != key}, f"{path}.{inner[key]}")
    elif isinstance(value, list):
        yield path, _list_items(value)
    else:
        yield path, json.dumps(value) if not isinstance(value, str) else value


def _identifying_key(values: list[object]) -> str:
    """The key that identifies the objects of a list, ``name`` or ``path``; empty if neither is in all of them."""
    alike = values and all(isinstance(v, Mapping) for v in values)
    return next((k for k in ("name", "path") if alike and all(k in members(v) for v in values)), "")


def _list_items(values: list[object]) -> tuple[str, ...]:
    """List items as text; a flag and its value form one item."""
    out: list[str] = []
    for value in values:
        text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        if out and out[-1].startswith("-") and not text.startswith("-"):
            out[-1] += f" {text}"
        else:
            out.append(text)
    return tuple(out)
