"""Variants of a file: ``base`` with ``override_*`` and ``zip_override_*``, and ``sweep``.

In: the root of a file, a selector, the changes of ``--set``. Out: variants, each with its merged tree::

    base: {name: b, ...}
    override_small: {...}               ->  "small", named b_small
    zip_override_tp: {a: [1, 2]}        ->  "tp_0" with a: 1, named b_tp_0, and "tp_1" with a: 2

Mappings are merged, lists and scalars are replaced, and null removes a key. In a ``zip_override`` each list has one value
per variant; a list of one value, or a scalar, applies to all. ``--set`` changes each variant after merging.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from attrs import evolve, frozen

from srtplan.config.typed.structure import did_you_mean
from srtplan.config.variants import set_option, sweep
from srtplan.config.variants.layers import merge
from srtplan.config.variants.set_option import Change
from srtplan.config.yaml import tree as t
from srtplan.config.yaml.source import fatal
from srtplan.config.yaml.tree import Entry, Mapping, Node, Scalar
from srtplan.diagnostics import InputError, Problem, Report

OVERRIDE = "override_"
ZIP = "zip_override_"
BASE = "base"
TOP = (BASE, "schema")
MAX_JOBS = 1000
"""Maximum of jobs in one file. More would take minutes to plan and are most likely a mistake."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=,@-]{0,99}")
_INDEXED = re.compile(r"(.+)\[([0-9]+)\]")


@frozen(kw_only=True, eq=False, repr=False)
class Variant:
    """One job before layering. ``key`` is its section of the file."""

    name: str | None
    tree: Mapping
    key: str = ""
    problems: tuple[Problem, ...] = ()


def choose(root: Mapping, selector: str | None, changes: Sequence[Change]) -> tuple[Variant, ...]:
    """Return the selected variants in the order of the file. Raises InputError."""
    final = _final(root, changes)
    chosen = tuple(v for v in final if v.key != BASE) if selector is None else _select(final, selector)
    if not chosen:
        raise _nothing_selected(root, final, selector)
    _unique(root, final)
    return chosen


def _final(root: Mapping, changes: Sequence[Change]) -> list[Variant]:
    """Return all variants, including the base, with sweeps expanded."""
    found = _overrides(root) if is_override_file(root) else iter((Variant(name=None, tree=root),))
    final: list[Variant] = []
    jobs = 0
    for variant in (w for v in found for w in _expand(v, changes)):
        final.append(variant)
        jobs += variant.key != BASE
        if jobs > MAX_JOBS:
            message = f"the file has more than {MAX_JOBS} jobs"
            hint = "use fewer variants or sweep values, or split the file"
            raise fatal(root.spot.problem("SP124", message, hint=hint))
    return final


def is_override_file(root: Mapping) -> bool:
    """Tell whether a file has variants, or a base for them."""
    return any(k == BASE or k.startswith((OVERRIDE, ZIP)) for k in root)


def _overrides(root: Mapping) -> Iterator[Variant]:
    base = root.get(BASE)
    problems = list(_shape(root))
    if problems or not isinstance(base, Mapping):
        raise InputError(Report(tuple(problems)))
    shared = {k: e for k, e in root.entries.items() if k == "schema"}
    base = Mapping(base.spot, {**shared, **base.entries})
    yield Variant(name=BASE, tree=base, key=BASE)
    for key, entry in root.entries.items():
        if isinstance(entry.value, Mapping) and key.startswith(ZIP):
            yield from _zip(base, key, entry.value)
        elif isinstance(entry.value, Mapping) and key.startswith(OVERRIDE):
            suffix = key.removeprefix(OVERRIDE)
            yield Variant(name=suffix, tree=_named(base, entry.value, suffix), key=key)


def _shape(root: Mapping) -> Iterator[Problem]:
    """Yield problems unless the file has a base, overrides and at most ``schema``, each of them a mapping."""
    if BASE not in root:
        key = next(k for k in root if k.startswith((OVERRIDE, ZIP)))
        message = f"'{key}' requires a 'base' section"
        yield root.entries[key].key.problem("SP122", message, hint="put the common part under `base:`")
    for key, entry in root.entries.items():
        if key in (OVERRIDE, ZIP):
            yield entry.key.problem("SP122", f"'{key}' has no variant name", hint=f"write {key}NAME")
        elif key.startswith((OVERRIDE, ZIP)) and not _NAME.fullmatch(_suffix(key)):
            message = f"{_suffix(key)!r} is not a valid variant name"
            hint = "use up to 100 letters, digits and . _ + = , @ -; start with a letter, digit or _"
            yield entry.key.problem("SP127", message, hint=hint)
        elif key != BASE and not key.startswith((OVERRIDE, ZIP)) and key not in TOP:
            hint = did_you_mean(key, ("base", "override_", "zip_override_")) or "move it under `base:`"
            message = f"'{key}' is not allowed next to 'base'"
            yield entry.key.problem("SP122", message, hint=hint)
        elif key != "schema" and not isinstance(entry.value, Mapping):
            yield entry.value.spot.problem("SP122", f"'{key}' must be a mapping")


def _suffix(key: str) -> str:
    """Return the part of a key after ``override_`` or ``zip_override_``."""
    return key.removeprefix(ZIP) if key.startswith(ZIP) else key.removeprefix(OVERRIDE)


def _named(base: Mapping, over: Mapping, suffix: str) -> Mapping:
    """Merge base and override, and append the suffix to the name unless the override sets one."""
    merged = merge(base, over, null_deletes=True)
    name = base.get("name")
    if t.is_null(over.get("name")) and isinstance(name, Scalar) and isinstance(name.value, str):
        merged = merged.with_entry(
            "name", Entry(base.entries["name"].key, Scalar(name.spot, f"{name.value}_{suffix}"))
        )
    return merged


def _zip(base: Mapping, key: str, over: Mapping) -> Iterator[Variant]:
    group = key.removeprefix(ZIP)
    lists = list(_lists(over))
    count = max((len(node.items) for _, node in lists), default=1)
    problems = tuple(_lengths(lists, count))
    if problems:
        yield Variant(name=f"{group}_0", tree=base, key=key, problems=problems)
        return
    for n in range(count):
        picked = _pick(over, n)
        assert isinstance(picked, Mapping)  # noqa: S101 -- _pick keeps mappings
        yield Variant(name=f"{group}_{n}", tree=_named(base, picked, f"{group}_{n}"), key=key)


def _lists(node: Node, path: str = "") -> Iterator[tuple[str, t.Sequence]]:
    if isinstance(node, t.Sequence):
        yield path, node
    elif isinstance(node, Mapping):
        for key, entry in node.entries.items():
            yield from _lists(entry.value, f"{path}.{key}" if path else key)


def _lengths(lists: list[tuple[str, t.Sequence]], count: int) -> Iterator[Problem]:
    if count > MAX_JOBS:
        node = next(node for _, node in lists if len(node.items) == count)
        message = f"{count} values make {count} variants; the limit is {MAX_JOBS}"
        yield node.spot.problem("SP123", message, hint="use a shorter list, or split the file")
        return
    longest = next((path for path, node in lists if len(node.items) == count), "")
    for path, node in lists:
        if len(node.items) not in (1, count):
            message = f"'{path}' has {len(node.items)} values, but '{longest}' has {count}"
            hint = f"write {count} values, or 1 for all variants; write a value that is a list as a list of lists"
            yield node.spot.problem("SP123", message, hint=hint)


def _pick(node: Node, n: int) -> Node:
    """Return variant ``n``: of each list the n-th value, or the only one."""
    if isinstance(node, t.Sequence):
        return node.items[n if len(node.items) > 1 else 0]
    if isinstance(node, Mapping):
        return Mapping(node.spot, {k: Entry(e.key, _pick(e.value, n)) for k, e in node.entries.items()})
    return node


def _expand(variant: Variant, changes: Sequence[Change]) -> Iterator[Variant]:
    """Yield the variant with ``--set`` applied, or its combinations if it has a sweep."""
    tree, refused = set_option.apply(variant.tree, changes)
    if variant.key:
        refused = (*refused, *_set_on_section(changes))
    variant = evolve(variant, tree=tree, problems=(*variant.problems, *refused))
    if "sweep" not in tree:
        yield variant
        return
    prefix = f"{variant.name}_" if variant.name else ""
    for name, swept, problems in sweep.expand(tree):
        yield evolve(variant, name=prefix + name, tree=swept, problems=(*variant.problems, *problems))


def _set_on_section(changes: Sequence[Change]) -> Iterator[Problem]:
    """Yield a problem for each ``--set`` path that starts with a section of the file."""
    for change in changes:
        first = str(change.path[0])
        if first == BASE or first.startswith((OVERRIDE, ZIP)):
            message = f"--set cannot change '{first}': it applies to every selected variant"
            hint = f"remove '{first}.' from the path; select variants with FILE:VARIANT"
            yield change.spot.problem("SP120", message, hint=hint)


def _select(found: list[Variant], selector: str) -> tuple[Variant, ...]:
    """Select by key, key and index, name, or a pattern over keys and names. A pattern never matches the base."""
    exact = tuple(v for v in found if selector in (v.key, v.name))
    if exact:
        return exact
    if match := _INDEXED.fullmatch(selector):
        keys = sorted({v.key for v in found if v.key and fnmatchcase(v.key, match[1]) and v.key != BASE})
        groups = [[v for v in found if v.key == key] for key in keys]
        n = int(match[2])
        if picked := tuple(g[n] for g in groups if n < len(g)):
            return picked
    return tuple(
        v
        for v in found
        if v.key != BASE and (fnmatchcase(v.key, selector) or (v.name and fnmatchcase(v.name, selector)))
    )


def _nothing_selected(root: Mapping, found: list[Variant], selector: str | None) -> InputError:
    keys = list(dict.fromkeys(v.key for v in found if v.key))
    if selector is None:
        hint = f"add a section override_NAME, or compile {root.spot.origin.name}:base"
        place = root.entries[BASE].key
        return fatal(place.problem("SP121", "the file has a base but no variants", hint=hint))
    if not keys and len(found) == 1:
        message = f"':{selector}' selects a variant, but the file has no variants"
        return fatal(root.spot.problem("SP121", message, hint=f"remove ':{selector}'"))
    names = keys or [v.name or "" for v in found]
    hint = did_you_mean(selector, names)
    if not hint.startswith("known"):
        hint += f"; known: {', '.join(names)}" if hint else f"known: {', '.join(names)}"
    return fatal(root.spot.problem("SP121", f"no variant matches ':{selector}'", hint=hint))


def _unique(root: Mapping, found: list[Variant]) -> None:
    seen: dict[str, Variant] = {}
    for v in found:
        if v.name and seen.setdefault(v.name, v) is not v and seen[v.name].key != v.key:
            message = f"'{v.key}' and '{seen[v.name].key}' both define variant '{v.name}'"
            raise fatal(root.entries[v.key].key.problem("SP125", message, hint="rename one of them"))
