"""Find and load plugins.

A plugin is one module below ``srtplan/engines`` (``frontends``, ``benchmarks``, ``services``, ``runtimes``) with a
module-level object ``PLUGIN``, or an entry point ``<kind>:<name>`` of the group ``srtplan.plugins`` in another distribution
that refers to such an object. In a file name, ``_`` stands for ``-`` in the plugin's name, and ``__`` for ``_``.

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
    """No plugin of the kind has this name; ``known`` lists the names that exist."""

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
    """Return the names of all plugins of a kind without importing any."""
    return tuple(sorted({*own_names(kind)} | {e.name.partition(":")[2] for e in _external(kind)}))


@cache
def own_names(kind: Kind) -> tuple[str, ...]:
    """Return the names of srtplan's own plugins of a kind, derived from their file names."""
    folder = os.path.join(os.path.dirname(__file__), os.pardir, FOLDERS[kind])  # noqa: PTH118, PTH120 -- pathlib costs 5 ms here
    files = (f for f in os.listdir(folder) if f.endswith(".py") and not f.startswith("_"))  # noqa: PTH208
    return tuple(sorted("_".join(p.replace("_", "-") for p in f[:-3].split("__")) for f in files))


def module_name(name: str) -> str:
    """Return the module name of a plugin: ``lm_eval`` for ``lm-eval``, ``trtllm__serve`` for ``trtllm_serve``."""
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
    """Yield all plugins of a kind that load. A broken plugin that no recipe uses is skipped."""
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
    """Return the object of a plugin module if it is a valid plugin. Raises ContractError."""
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
        raise ContractError(f"PLUGIN is named '{found.name}', not '{name}'")
    return found


def engine(name: str) -> Engine[object]:
    """Return an engine by name."""
    return cast("Engine[object]", get("engine", name))


def frontend(name: str) -> Frontend[object]:
    """Return a frontend by name."""
    return cast("Frontend[object]", get("frontend", name))


def benchmark(name: str) -> Benchmark[object]:
    """Return a benchmark by name."""
    return cast("Benchmark[object]", get("benchmark", name))


def service(name: str) -> Service:
    """Return a service by name."""
    return cast("Service", get("service", name))


def runtime(name: str) -> Runtime:
    """Return a container runtime by name."""
    return cast("Runtime", get("runtime", name))


def interface(recipe: Recipe) -> str | None:
    """Return the interface that the recipe's frontend and engine have in common, or None."""
    has = engine(recipe.engine.type).interfaces
    return next((i for i in frontend(recipe.frontend.type).interfaces if i in has), None)


@cache
def _external(kind: Kind) -> tuple[EntryPoint, ...]:
    """Return the entry points of other distributions. Called only for names that are not our own: it costs 20 ms."""
    from importlib.metadata import entry_points  # noqa: PLC0415

    return tuple(e for e in entry_points(group=GROUP) if e.name.startswith(f"{kind}:"))
