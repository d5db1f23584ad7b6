"""Lowering of a v1 document to a draft of the Recipe.

In: the merged tree of one job, and the context of lowering. Out: a ``Draft`` with everything that could be structured::

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
    """Return the draft of one job."""
    draft = Draft(context=context)
    parts = shared.sections(tree, doc.Document, draft.findings)
    for key in [k for k in ("roles", "engine") if k in tree][:1]:
        message = f"'{key}' is a key of schema 2, but the recipe has no `schema: 2`"
        draft.error("SP130", (key,), message, hint="add `schema: 2` at the top", on_key=True)
    shared.lower_common(parts, draft)
    shared.warn_no_effect(tree, doc.Document, draft)
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
    sources = {"hash": section.hash, "top_of_tree": section.top_of_tree, "wheel": section.wheel}
    chosen = [name for name, value in sources.items() if value]
    values = attrs.asdict(section, recurse=False) | ({"version": None} if chosen else {})
    draft.dynamo = ir.Dynamo(**values)
    if chosen and section.version != attrs.fields(doc.DynamoSection).version.default:
        draft.findings.append(
            Finding(
                rule="SP231",
                path=("dynamo", "version"),
                severity="warning",
                message=f"dynamo.version has no effect: dynamo.{chosen[0]} is set",
                help=f"remove `version` or `{chosen[0]}`",
            )
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
    """Set the engine of the draft; return the fields of the roles by mode."""
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
    return _roles(common, args, config)


def _roles(common: doc.BackendSection, args: doc.EngineArgs, config: str) -> Roles:
    """Return the fields of the roles that `backend` sets, by mode."""
    roles: Roles = {
        "prefill": {
            "args": args.prefill or EMPTY,
            "args_at": ("backend", config, "prefill"),
            "env": common.prefill_environment,
            "env_at": ("backend", "prefill_environment"),
            "extra_args": common.prefill_extra_args,
            "extra_args_at": ("backend", "prefill_extra_args"),
        },
        "decode": {
            "args": args.decode or EMPTY,
            "args_at": ("backend", config, "decode"),
            "env": common.decode_environment,
            "env_at": ("backend", "decode_environment"),
            "extra_args": common.decode_extra_args,
            "extra_args_at": ("backend", "decode_extra_args"),
        },
        "agg": {
            "args": args.aggregated or EMPTY,
            "args_at": ("backend", config, "aggregated"),
            "env": common.aggregated_environment,
            "env_at": ("backend", "aggregated_environment"),
            "extra_args": common.aggregated_extra_args,
            "extra_args_at": ("backend", "aggregated_extra_args"),
        },
    }
    for mode, (events, path) in _kv_events(common.kv_events_config).items():
        roles[mode] |= {"kv_events": events, "kv_events_at": path, "at": ("resources",)}
    return roles


def _kv_events(config: doc.KvEvents | bool | None) -> dict[ir.Mode, tuple[Map | None, Path]]:  # noqa: FBT001 -- a YAML value
    """Return the events of each mode and their path. ``kv_events_config: true`` applies to prefill and decode."""
    path: Path = ("backend", "kv_events_config")
    if isinstance(config, doc.KvEvents):
        return {
            "prefill": (_events(config.prefill), (*path, "prefill")),
            "decode": (_events(config.decode), (*path, "decode")),
            "agg": (_events(config.aggregated), (*path, "aggregated")),
        }
    events = _events(config)
    return {"prefill": (events, path), "decode": (events, path), "agg": (None, path)}


def _events(value: Map | bool | None) -> Map | None:  # noqa: FBT001 -- a YAML value
    return value if isinstance(value, Map) else EMPTY if value else None


def _resources(section: doc.ResourcesSection | None, roles: Roles | None, draft: Draft) -> None:
    if section is None:
        return
    draft.counts = _counts(section)
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


def _counts(section: doc.ResourcesSection) -> tuple[Counts, ...]:
    return (
        Counts(
            mode="prefill",
            nodes=section.prefill_nodes,
            workers=section.prefill_workers,
            gpus=section.gpus_per_prefill,
            nodes_at=("resources", "prefill_nodes"),
            workers_at=("resources", "prefill_workers"),
            gpus_at=("resources", "gpus_per_prefill"),
        ),
        Counts(
            mode="decode",
            nodes=section.decode_nodes,
            workers=section.decode_workers,
            gpus=section.gpus_per_decode,
            nodes_at=("resources", "decode_nodes"),
            workers_at=("resources", "decode_workers"),
            gpus_at=("resources", "gpus_per_decode"),
        ),
        Counts(
            mode="agg",
            nodes=section.agg_nodes,
            workers=section.agg_workers,
            gpus=section.gpus_per_agg,
            nodes_at=("resources", "agg_nodes"),
            workers_at=("resources", "agg_workers"),
            gpus_at=("resources", "gpus_per_agg"),
        ),
    )
