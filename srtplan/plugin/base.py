"""What all five kinds of plugins have in common: a name, options, and a class statement that is checked.

In: the class of a plugin, when Python makes it. Out: the class with its facts set, or a ContractError::

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
        """Mark a method that replaces one of the base class; a type checker reports a name that the base class lacks."""
        return method


O_co = TypeVar("O_co", covariant=True)
T = TypeVar("T")


@frozen(kw_only=True)
class NoOptions:
    """No options of its own."""


class ContractError(TypeError):
    """A plugin's class breaks the contract of its kind."""


class Section(Protocol):
    """A section of the recipe that holds a plugin's options."""

    @property
    def options(self) -> object:
        """An instance of the plugin's options class."""


class Plugin(ABC, Generic[O_co]):
    """One plugin. The type argument is the class of its options, an attrs class whose fields are keys of the recipe."""

    name: ClassVar[str]
    """What a recipe writes as `type`."""
    options: type[O_co]
    """The class of its options, taken from the type argument."""


def typed_options(section: Section, kind: type[T]) -> T:
    """The options of a section as what they are: the loader made them of the plugin's own class."""
    if not isinstance(section.options, kind):
        raise TypeError(f"options of {type(section.options).__qualname__}, not of {kind.__qualname__}")
    return section.options


def declare(cls: type[Plugin[object]], kind: type, facts: Mapping[str, object]) -> None:
    """Set the facts of a plugin's class statement and check its members. Raises ContractError."""
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
        raise ContractError(f"{label} lacks the required member {' and '.join(map(repr, missing))}")


def _check_fact(cls: type, kind: type, fact: str, value: object) -> None:
    """A text where several are expected would be taken letter by letter."""
    default = getattr(kind, fact, None)
    if isinstance(default, tuple) and not isinstance(value, tuple):
        raise ContractError(f"{fact} of {cls.__qualname__} must be a tuple of names, not {value!r}")
    if fact == "name" and not (isinstance(value, str) and value):
        raise ContractError(f"name of {cls.__qualname__} must be a text, not {value!r}")


def _options_class(cls: type) -> type:
    bases: Iterable[object] = getattr(cls, "__orig_bases__", ())
    return next((arg for base in bases for arg in get_args(base) if isinstance(arg, type)), NoOptions)


def _suggestion(member: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 -- only for an error

    near = get_close_matches(member, [k for k in known if not k.startswith("_")], n=1)
    return f"; did you mean '{near[0]}'?" if near else "; a private helper's name starts with '_'"
