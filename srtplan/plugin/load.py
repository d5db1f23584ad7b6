"""How plugins are found and loaded.

A plugin is one module below ``srtplan/engines`` (``frontends``, ``benchmarks``, ``services``, ``runtimes``) with a
module-level object ``PLUGIN``, or an entry point ``srtplan.plugins`` of another distribution, named ``<kind>:<name>`` and
leading to such an object. In a file name ``_`` is ``-`` of the plugin's name, and ``__`` is ``_``.

In: a kind and a name. Out: the plugin, UnknownPluginError, or PluginError::

    engine 'lmdeploy' of srtplan-lmdeploy 0.1.0 is broken: Engine 'lmdeploy' has no member 'comand'; did you mean 'command'?
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Literal, TypeVar, cast, get_args

from srtplan.ir.recipe import Recipe
from srtplan.plugin.base import ContractError, Plugin
from srtplan.plugin.benchmarks import Benchmark
from srtplan.plugin.engines import Engine
from srtplan.plugin.frontends import Frontend
from srtplan.plugin.runtimes import Runtime
from srtplan.plugin.services import Service

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Kind = Literal["engine", "frontend", "benchmark", "service", "runtime"]
FOLDERS: dict[Kind, str] = {kind: f"{kind}s" for kind in get_args(Kind)}
P = TypeVar("P", bound=Plugin[object])
BASES: dict[Kind, type[Plugin[object]]] = {
    "engine": Engine,
    "frontend": Frontend,
    "benchmark": Benchmark,
    "service": Service,
    "runtime": Runtime,
}
GROUP = "srtplan.plugins"


class UnknownPluginError(LookupError):
    """No plugin of that kind has that name; ``known`` are those that exist."""

    def __init__(self, kind: Kind, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"unknown {kind} '{name}'")
        self.known = known


class PluginError(Exception):
    """A plugin of another distribution cannot be loaded, or breaks the contract of its kind."""

    def __init__(self, kind: Kind, entry: EntryPoint, why: str) -> None:
        name = entry.name.partition(":")[2]
        self.distribution = entry.dist.name if entry.dist else entry.value
        version = f" {entry.dist.version}" if entry.dist else ""
        super().__init__(f"{kind} '{name}' of {self.distribution}{version} is broken: {why}")


@cache
def names(kind: Kind) -> tuple[str, ...]:
    """Names of all plugins of a kind; no plugin is imported."""
    return tuple(sorted({*own_names(kind)} | {e.name.partition(":")[2] for e in _external(kind)}))


@cache
def own_names(kind: Kind) -> tuple[str, ...]:
    """Names of this project's plugins of a kind, from the names of their files."""
    folder = os.path.join(os.path.dirname(__file__), os.pardir, FOLDERS[kind])  # noqa: PTH118, PTH120 -- pathlib costs 5 ms here
    files = (f for f in os.listdir(folder) if f.endswith(".py") and not f.startswith("_"))  # noqa: PTH208
    return tuple(sorted("_".join(p.replace("_", "-") for p in f[:-3].split("__")) for f in files))


def module_name(name: str) -> str:
    """The module of a plugin's name: ``lm_eval`` for ``lm-eval``, ``trtllm__serve`` for ``trtllm_serve``."""
    return name.replace("_", "__").replace("-", "_")


@cache
def get(kind: Kind, name: str) -> Plugin[object]:
    """Load a plugin. Raises UnknownPluginError, and PluginError for one of another distribution."""
    if name in own_names(kind):
        module: object = import_module(f"srtplan.{FOLDERS[kind]}.{module_name(name)}")
        return _checked(kind, name, getattr(module, "PLUGIN", None))
    for entry in _external(kind):
        if entry.name == f"{kind}:{name}":
            return _loaded(kind, name, entry)
    raise UnknownPluginError(kind, name, names(kind))


def installed(kind: Kind) -> Iterator[Plugin[object]]:
    """All plugins of a kind that can be loaded: a broken one that no recipe uses disturbs nothing."""
    for name in names(kind):
        with suppress(PluginError):
            yield get(kind, name)


def _loaded(kind: Kind, name: str, entry: EntryPoint) -> Plugin[object]:
    try:
        return _checked(kind, name, entry.load())
    except ContractError as error:
        raise PluginError(kind, entry, str(error)) from error
    except (Exception, SystemExit) as error:
        why = f"loading {entry.value} raises {type(error).__name__}: {error}"
        raise PluginError(kind, entry, why) from error


def _checked(kind: Kind, name: str, found: object) -> Plugin[object]:
    """The object of a plugin module, if it is one. Raises ContractError."""
    base = BASES[kind]
    if isinstance(found, type) and issubclass(found, base):
        raise ContractError(
            f"PLUGIN is the class {found.__qualname__}; write PLUGIN = {found.__qualname__}()"
        )
    if not isinstance(found, base):
        raise ContractError(
            f"PLUGIN is of type {type(found).__qualname__}, not a subclass of {base.__name__}"
        )
    if found.name != name:
        raise ContractError(f"its own name is '{found.name}'")
    return found


def engine(name: str) -> Engine[object]:
    """An engine by name."""
    return cast("Engine[object]", get("engine", name))


def frontend(name: str) -> Frontend[object]:
    """A frontend by name."""
    return cast("Frontend[object]", get("frontend", name))


def benchmark(name: str) -> Benchmark[object]:
    """A benchmark by name."""
    return cast("Benchmark[object]", get("benchmark", name))


def service(name: str) -> Service:
    """A service by name."""
    return cast("Service", get("service", name))


def runtime(name: str) -> Runtime:
    """A container runtime by name."""
    return cast("Runtime", get("runtime", name))


def interface(recipe: Recipe) -> str | None:
    """How the recipe's frontend reaches its engine's workers; None if it cannot."""
    has = engine(recipe.engine.type).interfaces
    return next((i for i in frontend(recipe.frontend.type).interfaces if i in has), None)


@cache
def _external(kind: Kind) -> tuple[EntryPoint, ...]:
    """Plugins of other distributions. Looked for only when a name is not our own: it costs 20 ms."""
    from importlib.metadata import entry_points  # noqa: PLC0415

    return tuple(e for e in entry_points(group=GROUP) if e.name.startswith(f"{kind}:"))
