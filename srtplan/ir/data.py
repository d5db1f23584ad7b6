"""Plain data of a recipe (engine options as they stand in YAML), frozen.

``freeze({"a": [1, {"b": None}]})`` is ``Map((("a", (1, Map((("b", None),)))),))``; ``thaw`` is its inverse.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import yaml
from attrs import frozen

Scalar = None | bool | int | float | str
_SCALARS = (str, int, float, type(None))
"""``isinstance`` of an abstract class, which ``Map`` is, takes long for all that is none: scalars are asked for first."""


@frozen
class Map(Mapping[str, "Data"]):
    """A mapping that keeps its order and can be hashed."""

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
    """Lists to tuples, mappings to ``Map`` (keys become text); raises TypeError for anything else."""
    if value is None or isinstance(value, bool | int | float | str | Map):
        return value
    if isinstance(value, list | tuple):
        return tuple(freeze(v) for v in value)
    if isinstance(value, Mapping):
        return Map(tuple((str(k), freeze(v)) for k, v in value.items()))
    raise TypeError(f"not plain data: {type(value).__name__}")


def thaw(value: Data) -> object:
    """Dicts and lists again, for JSON and YAML."""
    if isinstance(value, tuple):
        return [thaw(v) for v in value]
    if isinstance(value, _SCALARS):
        return value
    return {k: thaw(v) for k, v in value.pairs}


def to_yaml(value: Data) -> str:
    """YAML in blocks, keys in order."""
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(
        yaml.dump(thaw(value), Dumper=dumper, default_flow_style=False, sort_keys=True, allow_unicode=True)
    )
