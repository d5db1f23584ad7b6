"""Plain, frozen data of a recipe, such as engine options from YAML, and the base class of the nouns.

``freeze({"a": [1, {"b": None}]})`` is ``Map((("a", (1, Map((("b", None),)))),))``; ``thaw`` is its inverse.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import yaml
from attrs import frozen

Scalar = None | bool | int | float | str
_SCALARS = (str, int, float, type(None))
"""Scalars are checked first: ``isinstance`` with an abstract class, such as ``Map``, is slow for other objects."""


@frozen
class Map(Mapping[str, "Data"]):
    """An ordered, hashable mapping."""

    pairs: tuple[tuple[str, Data], ...] = ()

    def __getitem__(self, key: str) -> Data:
        for k, v in self.pairs:
            if k == key:
                return v
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return (k for k, _ in self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)


Data = Scalar | tuple["Data", ...] | Map

EMPTY = Map()


def freeze(value: object) -> Data:
    """Convert lists to tuples and mappings to ``Map`` (with string keys). Raises TypeError for anything else."""
    if value is None or isinstance(value, bool | int | float | str | Map):
        return value
    if isinstance(value, list | tuple):
        return tuple(freeze(v) for v in value)
    if isinstance(value, Mapping):
        return Map(tuple((str(k), freeze(v)) for k, v in value.items()))
    raise TypeError(f"not plain data: {type(value).__name__}")


def thaw(value: Data) -> object:
    """Convert frozen data back to dicts and lists, for JSON and YAML."""
    if isinstance(value, tuple):
        return [thaw(v) for v in value]
    if isinstance(value, _SCALARS):
        return value
    return {k: thaw(v) for k, v in value.pairs}


def to_yaml(value: Data) -> str:
    """Return the data as YAML in block style with sorted keys."""
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(
        yaml.dump(thaw(value), Dumper=dumper, default_flow_style=False, sort_keys=True, allow_unicode=True)
    )


class Noun:
    """Equality, hash and representation of an attrs class, written once: ``eq=False, repr=False`` with this base.

    attrs can generate these methods for every class, but compiles each of them at import: 0.3 ms per class, a tenth
    of a cold ``srtplan check``. A noun equals an object of the same class with equal fields, and shows as
    ``Class(field=value, ...)``.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        """Compare the class and all fields."""
        if other.__class__ is not self.__class__:
            return NotImplemented
        return self is other or _values(self) == _values(other)

    def __hash__(self) -> int:
        """Hash the class and all fields."""
        return hash((self.__class__, _values(self)))

    def __repr__(self) -> str:
        """Show all fields by name."""
        names = _fields(self.__class__)
        shown = ", ".join(f"{n}={v!r}" for n, v in zip(names, _values(self), strict=True))
        return f"{self.__class__.__name__}({shown})"


def _fields(kind: type) -> tuple[str, ...]:
    """Names of the fields that take part in equality."""
    return tuple(a.name for a in kind.__attrs_attrs__ if a.eq)  # type: ignore[attr-defined]


def _values(noun: object) -> tuple[object, ...]:
    return tuple(getattr(noun, name) for name in _fields(noun.__class__))
