"""The parts of a section that belong to a plugin: its type, and the rest of its keys as the plugin's own options.

In: a section (``backend``, ``frontend``, ``benchmark``) and the class of its common fields. Out: the common fields, the
plugin's options, or findings: an unknown type, an unknown key, a key that another type would read (a warning: it has no
effect here).
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
DEAD: dict[tuple[plugin.Kind, str], str] = {
    (
        "benchmark",
        "export_node_metrics",
    ): "srtplan exports none; clients find them at AIPERF_SERVER_METRICS_URLS",
    ("benchmark", "sweep"): "srtctl reads it and does nothing with it; use the top-level `sweep`",
    ("engine", "gpu_type"): "srtctl reads it and does nothing with it; use resources.gpu_type",
}
"""Keys that srtctl accepts without any effect."""


@frozen(eq=False, repr=False)
class Split:
    """Keys of a section that the plugin reads, and those that the common class reads."""

    common: Mapping
    own: Mapping


def split(section: Mapping, common: type) -> Split:
    """Divide a section between its common class and the plugin."""
    names = _keys(common)
    return Split(
        Mapping(section.spot, {k: e for k, e in section.entries.items() if k in names}),
        Mapping(section.spot, {k: e for k, e in section.entries.items() if k not in names}),
    )


def check_type(kind: plugin.Kind, name: str, path: Path, findings: list[Finding]) -> bool:
    """The type exists, or a finding with those that do."""
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
    kind: plugin.Kind, name: str, section: Mapping, path: Path, findings: list[Finding]
) -> object | None:
    """The plugin's own options; None if there are findings."""
    cls: type = plugin.get(kind, name).options
    known = _keys(cls)
    strange = [k for k in section if k not in known]
    findings.extend(_strange(kind, name, (*path, key), known) for key in strange)
    return structure(section.without(*strange) if strange else section, cls, path, findings)


def type_of(section: Mapping, default: str) -> str:
    """The type that a section names; the default where it names none, or something that is no text."""
    node = section.get("type")
    return node.value if isinstance(node, Scalar) and isinstance(node.value, str) else default


def _strange(kind: plugin.Kind, name: str, path: Path, known: frozenset[str]) -> Finding:
    """A key that this type does not read."""
    key = str(path[-1])
    if (kind, key) in DEAD:
        message = f"'{key}' has no effect: {DEAD[kind, key]}"
        return Finding(rule="SP132", path=path, on_key=True, severity="warning", message=message)
    others = _readers(kind, name, key)
    if kind == "engine" and key.endswith("_config") and key.removesuffix("_config") in plugin.names("engine"):
        message = f"'{key}' is for another engine; backend.type is {name}"
        return Finding(rule="SP110", path=path, on_key=True, message=message, help=f"use {name}_config")
    if others:
        message = f"'{key}' has no effect on {kind} type {name}"
        hint = f"it belongs to {', '.join(others)}"
        return Finding(rule="SP115", path=path, on_key=True, severity="warning", message=message, help=hint)
    return unknown_key(path, known, where=f"{kind} type {name}")


def _readers(kind: plugin.Kind, name: str, key: str) -> list[str]:
    """Other types that read a key: of our own, and only where there are none of other distributions (20 ms)."""
    own = (plugin.get(kind, n) for n in plugin.own_names(kind))
    if others := [p.name for p in own if p.name != name and _reads(p, key)]:
        return others
    return [p.name for p in plugin.installed(kind) if p.name != name and _reads(p, key)]


def _reads(other: plugin.Plugin[object], key: str) -> bool:
    cls: type = other.options
    return key in _keys(cls)


@cache
def _keys(cls: type) -> frozenset[str]:
    """What a class reads, as it is spelled in YAML."""
    return frozenset(key_of(f) for f in attrs.fields(cls))
