"""The parts of a section that belong to a plugin: its type, and all other keys as options of the plugin.

In: a section (``backend``, ``frontend``, ``benchmark``) and the class of its common fields. Out: the common fields and the
plugin's options, or findings: an unknown type, an unknown key, or a key that only another type reads (a warning).
"""

from __future__ import annotations

from functools import cache
from typing import TypeVar

import attrs
from attrs import frozen

from srtplan import plugin
from srtplan.config.typed.hooks import key_of
from srtplan.config.typed.structure import did_you_mean, structure, unknown_key
from srtplan.config.yaml.tree import Mapping, Scalar
from srtplan.diagnostics import Finding, Path

T = TypeVar("T")
NO_EFFECT: dict[tuple[plugin.Kind, str], tuple[str, str]] = {
    ("benchmark", "export_node_metrics"): (
        "srtplan does not export node metrics",
        "remove it; the environment variable AIPERF_SERVER_METRICS_URLS gives clients the metrics URLs",
    ),
    ("benchmark", "sweep"): ("srtctl ignores it, too", "use `sweep:` at the top level"),
    ("engine", "gpu_type"): ("srtctl ignores it, too", "use `resources.gpu_type`"),
}
"""Keys without effect that srtctl accepts: the reason and the help."""


@frozen(eq=False, repr=False)
class Split:
    """The keys of a section that the common class reads, and those that the plugin reads."""

    common: Mapping
    own: Mapping


def split(section: Mapping, common: type) -> Split:
    """Split a section between its common class and the plugin."""
    names = _keys(common)
    return Split(
        Mapping(section.spot, {k: e for k, e in section.entries.items() if k in names}),
        Mapping(section.spot, {k: e for k, e in section.entries.items() if k not in names}),
    )


def check_type(kind: plugin.Kind, name: str, path: Path, findings: list[Finding]) -> bool:
    """Tell whether a type exists; if not, add a finding with the known types."""
    try:
        plugin.get(kind, name)
    except plugin.PluginError as error:
        hint = f"ask the authors of '{error.distribution}' for a version that works, or choose another type"
        findings.append(Finding(rule="SP116", path=path, message=str(error), help=hint))
        return False
    except plugin.UnknownPluginError as error:
        known = error.known
    else:
        return True
    hint = did_you_mean(name, known)
    message = f"unknown {kind} type '{name}'"
    if not hint.startswith("known"):
        hint = "; ".join(filter(None, (hint, f"known: {', '.join(known)}")))
    findings.append(Finding(rule="SP114", path=path, message=message, help=hint))
    return False


def options(
    kind: plugin.Kind,
    name: str,
    section: Mapping,
    path: Path,
    findings: list[Finding],
    *,
    common: type | None = None,
) -> object | None:
    """Return the options of the plugin; None if a value is invalid. Keys of ``common`` are suggested for unknown ones."""
    cls: type = plugin.get(kind, name).options
    known = _keys(cls)
    unread = [k for k in section if k not in known]
    suggested = known | _keys(common) if common else known
    findings.extend(_unread_key(kind, name, (*path, key), suggested) for key in unread)
    return structure(section.without(*unread) if unread else section, cls, path, findings)


def type_of(section: Mapping, default: str) -> str:
    """Return the type of a section; the default if the type is missing or not a string."""
    node = section.get("type")
    return node.value if isinstance(node, Scalar) and isinstance(node.value, str) else default


def _unread_key(kind: plugin.Kind, name: str, path: Path, known: frozenset[str]) -> Finding:
    """Return the finding for a key that this type does not read."""
    key = str(path[-1])
    if (kind, key) in NO_EFFECT:
        why, hint = NO_EFFECT[kind, key]
        message = f"'{key}' has no effect: {why}"
        return Finding(rule="SP132", path=path, on_key=True, severity="warning", message=message, help=hint)
    others = _readers(kind, name, key)
    if kind == "engine" and key.endswith("_config") and key.removesuffix("_config") in plugin.names("engine"):
        message = f"'{key}' is for another engine; backend.type is {name}"
        return Finding(rule="SP110", path=path, on_key=True, message=message, help=f"use {name}_config")
    if others:
        message = f"'{key}' has no effect on {kind} type {name}"
        hint = f"remove it; it is an option of {', '.join(others)}"
        return Finding(rule="SP115", path=path, on_key=True, severity="warning", message=message, help=hint)
    return unknown_key(path, known, where=f"{kind} type {name}")


def _readers(kind: plugin.Kind, name: str, key: str) -> list[str]:
    """Return other types that read a key. Plugins of other distributions are loaded only if needed (20 ms)."""
    own = (plugin.get(kind, n) for n in plugin.own_names(kind))
    if others := [p.name for p in own if p.name != name and _reads(p, key)]:
        return others
    return [p.name for p in plugin.installed(kind) if p.name != name and _reads(p, key)]


def _reads(other: plugin.Plugin[object], key: str) -> bool:
    cls: type = other.options
    return key in _keys(cls)


@cache
def _keys(cls: type) -> frozenset[str]:
    """Return the keys that a class reads, as spelled in YAML."""
    return frozenset(key_of(f) for f in attrs.fields(cls))
