"""Equality, hash and representation of the nouns, written once.

attrs can generate these methods for every class, but compiles each of them at import: 0.3 ms per class, a tenth of a cold
``srtplan check``. A noun is an attrs class with ``eq=False, repr=False`` and this base.
"""

from __future__ import annotations


class Noun:
    """Equal to another object of the same class with equal fields; hashable; shown as ``Class(field=value, ...)``."""

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
