"""A v1 document to a draft of the Recipe.

In: the merged tree of one job, and what lowering may know. Out: a ``Draft`` with everything that could be structured::

    resources: {prefill_nodes: 1, prefill_workers: 2, ...}      Role(mode="prefill", nodes=1, workers=2, gpus=4,
    backend: {prefill_environment: {A: "1"}, ...}           ->       env=(("A", "1"),), args=..., at=("resources",))
"""

from __future__ import annotations

from typing import Any

import attrs

from srtplan.config.layouts import resources, shared
from srtplan.config.layouts import v1_sections as doc
from srtplan.config.layouts.draft import Context, Counts, Draft
from srtplan.config.typed import plugins
from srtplan.config.typed.structure import structure
from srtplan.config.yaml.tree import Mapping, is_null
from srtplan.diagnostics import Finding, Path
from srtplan.ir import recipe as ir
from srtplan.ir.data import EMPTY, Map

Roles = dict[ir.Mode, dict[str, Any]]


def lower(tree: Mapping, context: Context) -> Draft:
    """The draft of one job."""
    draft = Draft(context=context)
    parts = shared.sections(tree, doc.Document, draft.findings)
    for key in [k for k in ("roles", "engine") if k in tree][:1]:
        message = "'roles' and 'engine' belong to schema 2"
        draft.error("SP130", (key,), message, hint="add `schema: 2` at the top", on_key=True)
    shared.same(parts, draft)
    shared.no_effect(tree, doc.Document, draft)
    shared.refuse(draft, tree, (("host_setup",),))
    _dynamo(parts.get("dynamo"), draft)
    _infra(parts.get("infra"), draft)
    _frontend(parts.get("frontend"), draft)
    _benchmark(parts.get("benchmark"), draft)
    roles = _backend(parts.get("backend"), draft)
    _resources(parts.get("resources"), roles, draft)
    return draft


def _dynamo(section: doc.DynamoSection | None, draft: Draft) -> None:
    if section is None:
        return
    built = section.hash or section.top_of_tree or section.wheel
    values = attrs.asdict(section, recurse=False) | ({"version": None} if built else {})
    draft.dynamo = ir.Dynamo(**values)
    if built and section.version != attrs.fields(doc.DynamoSection).version.default:
        message = "dynamo.version has no effect beside another source"
        draft.findings.append(
            Finding(rule="SP231", path=("dynamo", "version"), severity="warning", message=message)
        )


def _infra(section: doc.InfraSection | None, draft: Draft) -> None:
    if section is not None:
        draft.infra = ir.Infra(
            dedicated_node=section.etcd_nats_dedicated_node, nats_max_payload_mb=section.nats_max_payload_mb
        )


def _frontend(section: Mapping | None, draft: Draft) -> None:
    if section is None:
        return
    name, common, own = shared.divide("frontend", section, doc.FrontendSection, ("frontend",), draft)
    if common and own is not None:
        draft.frontend = shared.frontend(
            common,
            own,
            type=name,
            placement=common.orchestrator_placement,
            dedicated_node=common.dedicated_node,
        )


def _benchmark(section: Mapping | None, draft: Draft) -> None:
    if section is None:
        return
    _, common, own = shared.divide("benchmark", section, doc.BenchmarkSection, ("benchmark",), draft)
    if common and own is not None:
        draft.benchmark = ir.Benchmark(options=own, **attrs.asdict(common))


def _backend(section: Mapping | None, draft: Draft) -> Roles | None:
    """The engine into the draft; what belongs to the roles is returned by mode."""
    if section is None:
        return None
    config = f"{plugins.type_of(section, 'sglang')}_config"
    rest = section.without(config)
    name, common, own = shared.divide("engine", rest, doc.BackendSection, ("backend",), draft)
    draft.engine = None if own is None else ir.Engine(type=name, options=own)
    args: doc.EngineArgs | None = doc.EngineArgs()
    if not is_null(section.get(config)):
        args = structure(section[config], doc.EngineArgs, ("backend", config), draft.findings)
    if not common or not args:
        return None
    return {m: _role(common, args, config, m) for m in ir.MODES}


def _role(common: doc.BackendSection, args: doc.EngineArgs, config: str, mode: ir.Mode) -> dict[str, Any]:
    key = ir.MODE_KEYS[mode]
    return {
        "args": getattr(args, key) or EMPTY,
        "args_at": ("backend", config, key),
        "env": getattr(common, f"{key}_environment"),
        "env_at": ("backend", f"{key}_environment"),
        "extra_args": getattr(common, f"{key}_extra_args"),
        "extra_args_at": ("backend", f"{key}_extra_args"),
        "kv_events": _kv_events(common.kv_events_config, mode),
        "kv_events_at": _kv_events_at(common.kv_events_config, key),
        "at": ("resources",),
    }


def _kv_events(
    config: doc.KvEvents | bool | None,  # noqa: FBT001 -- the value as YAML has it
    mode: ir.Mode,
) -> Map | None:
    """True alone means prefill and decode."""
    if isinstance(config, doc.KvEvents):
        value = getattr(config, ir.MODE_KEYS[mode])
        return value if isinstance(value, Map) else EMPTY if value else None
    return EMPTY if config and mode != "agg" else None


def _kv_events_at(config: doc.KvEvents | bool | None, key: str) -> Path:  # noqa: FBT001
    path: Path = ("backend", "kv_events_config")
    return (*path, key) if isinstance(config, doc.KvEvents) else path


def _resources(section: doc.ResourcesSection | None, roles: Roles | None, draft: Draft) -> None:
    if section is None:
        return
    draft.counts = tuple(_counts(section, mode) for mode in ir.MODES)
    draft.gpus_per_node = section.gpus_per_node
    if roles is None or section.gpus_per_node <= 0:
        return
    sized = resources.sizes(draft.counts, section.gpus_per_node)
    draft.idle_roles = tuple(
        ir.Role(mode=m, nodes=0, workers=0, gpus=0, **roles[m]) for m in ir.MODES if m not in sized
    )
    draft.resources = ir.Resources(
        gpu_type=section.gpu_type,
        gpus_per_node=section.gpus_per_node,
        spread_workers=section.spread_workers,
        het_jobs=bool(section.het_jobs),
        roles=tuple(
            ir.Role(mode=m, nodes=n, workers=w, gpus=g, **roles[m]) for m, (n, w, g) in sized.items()
        ),
    )


def _counts(section: doc.ResourcesSection, mode: ir.Mode) -> Counts:
    names = (f"{mode}_nodes", f"{mode}_workers", f"gpus_per_{mode}")
    nodes, workers, gpus = (getattr(section, n) for n in names)
    at: list[Path] = [("resources", n) for n in names]
    return Counts(
        mode=mode, nodes=nodes, workers=workers, gpus=gpus, nodes_at=at[0], workers_at=at[1], gpus_at=at[2]
    )
