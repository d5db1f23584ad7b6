"""The base class of all plugins: a name, options, and validation of the class definition.

In: a plugin class, when Python creates it. Out: the class with its class arguments stored, or a ContractError::

    class LMDeploy(Engine[NoOptions], name="lmdeploy"):
        def comand(self, ctx): ...

    ContractError: Engine 'lmdeploy' has no member 'comand'; did you mean 'command'?
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeVar, get_args

from attrs import frozen

if TYPE_CHECKING:
    from typing_extensions import override as override  # noqa: PLC0414 -- exported
else:

    def override(method: object) -> object:
        """Mark an overriding method; type checkers report a name that the base class does not have."""
        return method


O_co = TypeVar("O_co", covariant=True)
T = TypeVar("T")


@frozen(kw_only=True)
class NoOptions:
    """The options class of a plugin without options."""


class ContractError(TypeError):
    """A plugin's class breaks the contract of its kind."""


class Section(Protocol):
    """A section of the recipe that holds a plugin's options."""

    @property
    def options(self) -> object:
        """An instance of the plugin's options class."""


class Plugin(ABC, Generic[O_co]):
    """A plugin. The type argument is its options class, an attrs class whose fields are recipe keys."""

    name: ClassVar[str]
    """The value of `type` in a recipe."""
    options: type[O_co]
    """The options class, taken from the type argument."""


def typed_options(section: Section, kind: type[T]) -> T:
    """Return the options of a section as an instance of ``kind``. Raises TypeError for any other class."""
    if not isinstance(section.options, kind):
        raise TypeError(f"options of {type(section.options).__qualname__}, not of {kind.__qualname__}")
    return section.options


def declare(cls: type[Plugin[object]], kind: type, facts: Mapping[str, object]) -> None:
    """Store a plugin's class arguments and check its members. Raises ContractError."""
    for fact, value in facts.items():
        _check_fact(cls, kind, fact, value)
        setattr(cls, fact, value)
    cls.options = _options_class(cls)
    label = f"{kind.__name__} '{cls.name}'"
    for member, value in vars(cls).items():
        if member.startswith("_") or member == "options" or member in facts:
            continue
        if not hasattr(kind, member):
            raise ContractError(f"{label} has no member '{member}'{_suggestion(member, dir(kind))}")
        if callable(getattr(kind, member)) and not callable(value):
            raise ContractError(f"'{member}' of {label} must be a method")
    missing = [m for m in dir(cls) if getattr(getattr(cls, m, None), "__isabstractmethod__", False)]
    if missing:
        noun = "member" if len(missing) == 1 else "members"
        raise ContractError(f"{label} lacks the required {noun} {' and '.join(map(repr, missing))}")


def _check_fact(cls: type, kind: type, fact: str, value: object) -> None:
    """Check a class argument; a string in place of a tuple would be read letter by letter."""
    default = getattr(kind, fact, None)
    if isinstance(default, tuple) and not isinstance(value, tuple):
        raise ContractError(f"{fact} of {cls.__qualname__} must be a tuple of names, not {value!r}")
    if fact == "name" and not (isinstance(value, str) and value):
        raise ContractError(f"name of {cls.__qualname__} must be a non-empty string, not {value!r}")


def _options_class(cls: type) -> type:
    bases: Iterable[object] = getattr(cls, "__orig_bases__", ())
    return next((arg for base in bases for arg in get_args(base) if isinstance(arg, type)), NoOptions)


def _suggestion(member: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 -- only for an error

    near = get_close_matches(member, [k for k in known if not k.startswith("_")], n=1)
    return f"; did you mean '{near[0]}'?" if near else "; start the name of a private helper with '_'"
