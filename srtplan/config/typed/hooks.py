"""Strict structuring: nodes of the tree become attrs classes, without conversion of values.

cattrs reads ``"8"`` as 8 and 2.9 as 2 for an int field; here both are errors. An int is accepted for a float. A number is
accepted as a string only where a sweep filled it into one::

    converter(explains=True).structure(<Scalar 8>, int)      ->  8
    converter(explains=True).structure(<Scalar "8">, int)    ->  Mismatch("an integer", <Scalar "8">)

Supported types: ``None``, bool, int, float, str, ``Literal``, ``tuple[T, ...]``, ``dict[str, T]``, ``Pairs`` (a mapping of
strings), ``Map`` and ``Data`` (anything), attrs classes, and unions of these. A field named by
``metadata={"key": "..."}`` has another name in YAML.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

import attrs
from cattrs import Converter
from cattrs.errors import IterableValidationError, IterableValidationNote
from cattrs.gen import make_dict_structure_fn, override

from srtplan.config.yaml.scalars import show
from srtplan.config.yaml.tree import Mapping, Node, Scalar, Sequence, data
from srtplan.ir.data import Map
from srtplan.ir.recipe import Pairs

Hook = Callable[[Node, Any], Any]
_NAMES: dict[Any, str] = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "a string",
    type(None): "null",
    Map: "a mapping",
    Mapping: "a mapping",
    Pairs: "a mapping of strings",
}


class Mismatch(Exception):  # noqa: N818 -- becomes a Finding; not an error of the program
    """A node does not have the type of its field."""

    def __init__(self, wanted: str, node: Node, *, choices: tuple[str, ...] = ()) -> None:
        super().__init__(wanted)
        self.wanted = wanted
        self.node = node
        self.choices = choices


@cache
def converter(*, explains: bool) -> Converter:
    """Return one of the two converters, with its generated functions cached.

    The converter that ``explains`` finds all problems, each with its path. The other one stops at the first. Its functions
    are generated in half the time, and most sections are valid.
    """
    c = Converter(forbid_extra_keys=True, detailed_validation=explains)
    for kind in (int, float, bool, type(None)):
        c.register_structure_hook(kind, _scalar_hook(kind))
    c.register_structure_hook(str, _text)
    c.register_structure_hook_func(lambda t: t == Pairs, _pairs_hook(c))
    c.register_structure_hook_func(_is_data, lambda n, _: data(n))
    c.register_structure_hook_factory(attrs.has, lambda t: _class_hook(c, t))
    c.register_structure_hook_factory(_has_origin(Literal), _literal_hook)
    c.register_structure_hook_factory(_has_origin(dict), lambda t: _mapping_hook(c, t))
    c.register_structure_hook_factory(
        lambda t: _has_origin(tuple)(t) and t != Pairs, lambda t: _tuple_hook(c, t)
    )
    c.register_structure_hook_factory(_is_union, lambda t: _union_hook(c, t))
    c.register_structure_hook_func(lambda t: t in (Map, Mapping), _map)
    return c


def describe(kind: Any) -> str:  # noqa: ANN401, PLR0911 -- a type, or a typing form; one answer each
    """Return the name of a type for messages and the reference: ``a list of integers``."""
    if kind in _NAMES:
        return _NAMES[kind]
    if _is_data(kind):
        return "anything"
    args = get_args(kind)
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(f"'{a}'" for a in args)
    if get_origin(kind) is tuple:
        return "a list of " + _plural(args[0])
    if get_origin(kind) is dict:
        return "a mapping of " + _plural(args[1])
    if _is_union(kind):
        members = sorted(args, key=_has_origin(tuple))  # the list last: its items may be a union, too
        return " or ".join(describe(a) for a in members if a is not type(None))
    return "a mapping"


def describe_node(node: Node) -> str:
    """Return a node for messages: ``the string '8'``."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    if node.value is None:
        return "null"
    text = show(node.value).replace("\n", " ")
    text = text if len(text) <= 40 else text[:37] + "..."  # noqa: PLR2004
    if isinstance(node.value, str):
        return f"the string '{text}'"
    return text if isinstance(node.value, bool) else f"the number {text}"


def key_of(field: attrs.Attribute[Any]) -> str:
    """Return the name of a field in YAML."""
    return str(field.metadata.get("key", field.name))


def _plural(kind: Any) -> str:  # noqa: ANN401
    name = describe(kind)
    if name.startswith(("one of", "true", "anything")):
        return name
    if _is_union(kind):
        return " or ".join(_plural(a) for a in get_args(kind) if a is not type(None))
    word, space, rest = name.removeprefix("an ").removeprefix("a ").partition(" ")
    return f"{word}s{space}{rest}"


def _has_origin(origin: Any) -> Callable[[Any], bool]:  # noqa: ANN401
    return lambda t: get_origin(t) is origin


def _is_union(kind: Any) -> bool:  # noqa: ANN401
    return get_origin(kind) in (Union, types.UnionType) and not _is_data(kind)


def _is_data(kind: Any) -> bool:  # noqa: ANN401
    """Tell whether a type is ``Data``. Resolving its reference to itself makes it a different type to Python."""
    return {Map, str, bool} <= set(get_args(kind))


def _scalar_hook(kind: type) -> Hook:
    def hook(node: Node, _: Any) -> Any:  # noqa: ANN401
        value = node.value if isinstance(node, Scalar) else ...
        if type(value) is kind:
            return value
        if kind is float and type(value) is int:
            return float(value)
        raise Mismatch(_NAMES[kind], node)

    return hook


def _text(node: Node, _: Any) -> str:  # noqa: ANN401
    if isinstance(node, Scalar):
        if isinstance(node.value, str):
            return node.value
        if node.text is not None:
            return node.text
    raise Mismatch("a string", node)


def _map(node: Node, kind: Any) -> Any:  # noqa: ANN401
    """Return a mapping as frozen data, or unchanged if the field is a ``Mapping`` of the tree."""
    if not isinstance(node, Mapping):
        raise Mismatch("a mapping", node)
    return node if kind is Mapping else data(node)


def _literal_hook(kind: Any) -> Hook:  # noqa: ANN401
    choices = get_args(kind)

    def hook(node: Node, _: Any) -> Any:  # noqa: ANN401
        value = node.value if isinstance(node, Scalar) else ...
        if any(type(value) is type(c) and value == c for c in choices):
            return value
        raise Mismatch(describe(kind), node, choices=tuple(map(str, choices)))

    return hook


def _mapping_hook(c: Converter, kind: Any) -> Hook:  # noqa: ANN401
    wanted = get_args(kind)[1]

    def hook(node: Node, _: Any) -> dict[str, Any]:  # noqa: ANN401
        if not isinstance(node, Mapping):
            raise Mismatch(describe(kind), node)
        items = _each(c, ((k, e.value) for k, e in node.entries.items()), wanted)
        return dict(zip(node.entries, items, strict=True))

    return hook


def _pairs_hook(c: Converter) -> Hook:
    def hook(node: Node, _: Any) -> Pairs:  # noqa: ANN401
        if not isinstance(node, Mapping):
            raise Mismatch(_NAMES[Pairs], node)
        items = _each(c, ((k, e.value) for k, e in node.entries.items()), str)
        return tuple(zip(node.entries, items, strict=True))

    return hook


def _tuple_hook(c: Converter, kind: Any) -> Hook:  # noqa: ANN401
    wanted = get_args(kind)[0]

    def hook(node: Node, _: Any) -> tuple[Any, ...]:  # noqa: ANN401
        if not isinstance(node, Sequence):
            raise Mismatch(describe(kind), node)
        return tuple(_each(c, enumerate(node.items), wanted))

    return hook


def _each(c: Converter, items: Any, wanted: Any) -> list[Any]:  # noqa: ANN401
    """Structure every item of a collection. Raises all failures together, each with a note of its key or index."""
    hook = c.get_structure_hook(wanted)
    good: list[Any] = []
    bad: list[Exception] = []
    for step, node in items:
        try:
            good.append(hook(node, wanted))
        except Exception as error:  # noqa: BLE001, PERF203 -- every failure of an item belongs to that item
            vars(error)["__notes__"] = [IterableValidationNote("", step, wanted)]
            bad.append(error)
    if bad:
        raise IterableValidationError("", bad, tuple)
    return good


def _class_hook(c: Converter, kind: Any) -> Hook:  # noqa: ANN401
    renamed = {f.name: override(rename=key_of(f)) for f in attrs.fields(kind) if "key" in f.metadata}
    inner = make_dict_structure_fn(kind, c, _cattrs_forbid_extra_keys=True, **renamed)  # type: ignore[arg-type]

    def hook(node: Node, _: Any) -> Any:  # noqa: ANN401
        if not isinstance(node, Mapping):
            raise Mismatch("a mapping", node)
        return inner(node, kind)  # type: ignore[arg-type]

    return hook


def _union_hook(c: Converter, kind: Any) -> Hook:  # noqa: ANN401
    members = get_args(kind)

    def hook(node: Node, _: Any) -> Any:  # noqa: ANN401
        for member in members:
            if _fits(node, member):
                return c.get_structure_hook(member)(node, member)
        wanted = Mismatch(describe(kind), node)
        literals = [a for m in members if get_origin(m) is Literal for a in get_args(m)]
        wanted.choices = tuple(map(str, literals))
        raise wanted

    return hook


def _fits(node: Node, member: Any) -> bool:  # noqa: ANN401
    """Tell by its shape whether a node belongs to a member of a union. Errors inside it are then reported for that type."""
    if isinstance(node, Mapping):
        return bool(member is Map or member == Pairs or get_origin(member) is dict or attrs.has(member))
    if isinstance(node, Sequence):
        return get_origin(member) is tuple and member != Pairs
    if get_origin(member) is Literal:
        return any(type(node.value) is type(a) and node.value == a for a in get_args(member))
    if member is float and type(node.value) is int:
        return True
    return type(node.value) is member or (member is str and node.text is not None)
