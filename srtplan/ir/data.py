"""Plain, frozen data of a recipe, such as engine options from YAML.

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
