"""One file, several jobs: ``base`` with ``override_*`` and ``zip_override_*``, and ``sweep``.

In: the root of a file, a selector, the changes of ``--set``. Out: variants, each with its merged tree::

    base: {name: b, ...}
    override_small: {...}               ->  "small", named b_small
    zip_override_tp: {a: [1, 2]}        ->  "tp_0" with a: 1, named b_tp_0, and "tp_1" with a: 2

Mappings are merged, lists and scalars replaced, null removes a key. In a ``zip_override`` each list is one value per
variant; a list of one value, or a scalar, is the same for all. ``--set`` is applied to each variant, after merging.
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
"""Variants of one file. More are a slip, and would take minutes to plan."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=,@-]{0,99}")
_INDEXED = re.compile(r"(.+)\[([0-9]+)\]")


@frozen(kw_only=True, eq=False, repr=False)
class Variant:
    """One job before layering. ``key`` is the section of the file it came from."""

    name: str | None
    tree: Mapping
    key: str = ""
    problems: tuple[Problem, ...] = ()


def choose(root: Mapping, selector: str | None, changes: Sequence[Change]) -> tuple[Variant, ...]:
    """The variants that a selector means, in the order of the file; raises InputError."""
    final = _final(root, changes)
    chosen = tuple(v for v in final if v.key != BASE) if selector is None else _select(final, selector)
    if not chosen:
        raise _nothing(root, final, selector)
    _unique(root, final)
    return chosen


def _final(root: Mapping, changes: Sequence[Change]) -> list[Variant]:
    """All variants, the base among them, sweeps expanded."""
    found = _overrides(root) if is_override_file(root) else iter((Variant(name=None, tree=root),))
    final: list[Variant] = []
    jobs = 0
    for variant in (w for v in found for w in _expand(v, changes)):
        final.append(variant)
        jobs += variant.key != BASE
        if jobs > MAX_JOBS:
            message = f"the file has more than {MAX_JOBS} jobs, variants and their sweeps together"
            raise fatal(root.spot.problem("SP124", message))
    return final


def is_override_file(root: Mapping) -> bool:
    """The file has variants, or a base for them."""
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
    """Only base, overrides and schema, all mappings, and a base among them."""
    if BASE not in root:
        key = next(k for k in root if k.startswith((OVERRIDE, ZIP)))
        yield root.entries[key].key.problem("SP122", f"'{key}' without a 'base' to override")
    for key, entry in root.entries.items():
        if key in (OVERRIDE, ZIP):
            yield entry.key.problem("SP122", f"'{key}' lacks a name", hint=f"for example {key}small")
        elif key.startswith((OVERRIDE, ZIP)) and not _NAME.fullmatch(_suffix(key)):
            message = f"{_suffix(key)!r} cannot be the name of a variant: it is also the name of a folder"
            hint = "up to 100 letters, digits and . _ + = , @ -, not starting with a sign"
            yield entry.key.problem("SP127", message, hint=hint)
        elif key != BASE and not key.startswith((OVERRIDE, ZIP)) and key not in TOP:
            hint = did_you_mean(key, ("base", "override_", "zip_override_")) or "put it below 'base'"
            message = f"'{key}' stands beside 'base'; a file with variants has nothing else there"
            yield entry.key.problem("SP122", message, hint=hint)
        elif key != "schema" and not isinstance(entry.value, Mapping):
            yield entry.value.spot.problem("SP122", f"'{key}' must be a mapping")


def _suffix(key: str) -> str:
    """What comes after ``override_`` or ``zip_override_``."""
    return key.removeprefix(ZIP) if key.startswith(ZIP) else key.removeprefix(OVERRIDE)


def _named(base: Mapping, over: Mapping, suffix: str) -> Mapping:
    """Base and override, with a name of its own if the override gives none."""
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
        yield node.spot.problem("SP123", f"{count} values make {count} variants; at most {MAX_JOBS} are made")
        return
    longest = next((path for path, node in lists if len(node.items) == count), "")
    for path, node in lists:
        if len(node.items) not in (1, count):
            message = f"'{path}' has {len(node.items)} values, but '{longest}' has {count}"
            hint = "give one value per variant, or a single one; write a list value as a list of lists"
            yield node.spot.problem("SP123", message, hint=hint)


def _pick(node: Node, n: int) -> Node:
    """Variant ``n``: of each list its n-th value, or its only one."""
    if isinstance(node, t.Sequence):
        return node.items[n if len(node.items) > 1 else 0]
    if isinstance(node, Mapping):
        return Mapping(node.spot, {k: Entry(e.key, _pick(e.value, n)) for k, e in node.entries.items()})
    return node


def _expand(variant: Variant, changes: Sequence[Change]) -> Iterator[Variant]:
    """The variant with ``--set`` applied; several if it has a sweep."""
    tree, refused = set_option.apply(variant.tree, changes)
    if variant.key:
        refused = (*refused, *_addressed(changes))
    variant = evolve(variant, tree=tree, problems=(*variant.problems, *refused))
    if "sweep" not in tree:
        yield variant
        return
    prefix = f"{variant.name}_" if variant.name else ""
    for name, swept, problems in sweep.expand(tree):
        yield evolve(variant, name=prefix + name, tree=swept, problems=(*variant.problems, *problems))


def _addressed(changes: Sequence[Change]) -> Iterator[Problem]:
    """Settings that name a section of the file, though they are applied to each variant."""
    for change in changes:
        first = str(change.path[0])
        if first == BASE or first.startswith((OVERRIDE, ZIP)):
            hint = f"leave out '{first}.', and choose variants by a selector"
            yield change.spot.problem("SP120", "--set is applied to every variant, after merging", hint=hint)


def _select(found: list[Variant], selector: str) -> tuple[Variant, ...]:
    """By key, key and index, name, or a pattern over keys and names (which never means the base)."""
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


def _nothing(root: Mapping, found: list[Variant], selector: str | None) -> InputError:
    keys = list(dict.fromkeys(v.key for v in found if v.key))
    if selector is None:
        hint = f"add an override_<name>, or compile {root.spot.origin.name}:base"
        place = root.entries[BASE].key
        return fatal(place.problem("SP121", "the file has a base but no variants", hint=hint))
    if not keys and len(found) == 1:
        return fatal(root.spot.problem("SP121", f"':{selector}' selects a variant, but the file has none"))
    names = keys or [v.name or "" for v in found]
    hint = did_you_mean(selector, names)
    if not hint.startswith("known"):
        hint += f"; there are {', '.join(names)}" if hint else f"there are {', '.join(names)}"
    return fatal(root.spot.problem("SP121", f"no variant matches ':{selector}'", hint=hint))


def _unique(root: Mapping, found: list[Variant]) -> None:
    seen: dict[str, Variant] = {}
    for v in found:
        if v.name and seen.setdefault(v.name, v) is not v and seen[v.name].key != v.key:
            message = f"'{v.key}' and '{seen[v.name].key}' both make a variant '{v.name}'"
            raise fatal(root.entries[v.key].key.problem("SP125", message, hint="rename one of them"))
