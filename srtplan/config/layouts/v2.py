"""Lowering of a ``schema: 2`` document to a draft of the Recipe, the same as for v1.

In: the merged tree of one job. Out: a ``Draft``. A setting that the Recipe cannot represent is an error (SP131)::

    roles: {decode: {nodes: colocate, workers: 2, gpus: 4}}     Role(mode="decode", nodes=0, workers=2, gpus=4,
    engine: sglang                                          ->       at=("roles", "decode"))

Rules and later stages use the paths of v1 (``("infra", "nats_max_payload_mb")``). ``MOVED`` maps them to this layout.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve

from srtplan.config.layouts import resources, services, shared
from srtplan.config.layouts import v2_sections as doc
from srtplan.config.layouts.draft import Context, Counts, Draft
from srtplan.config.layouts.v1_sections import NOTHING
from srtplan.config.typed.plugins import check_type, options
from srtplan.config.yaml.tree import Mapping, Scalar
from srtplan.diagnostics import Finding, Path
from srtplan.ir import recipe as ir
from srtplan.ir.data import EMPTY, Map

MOVED: dict[Path, Path] = {
    ("infra",): ("services",),
    ("backend",): ("engine",),
    ("frontend", "orchestrator_placement"): ("frontend", "placement", "node"),
    ("frontend", "dedicated_node"): ("frontend", "placement", "node"),
    ("benchmark", "client_placement"): ("benchmark", "placement", "node"),
    ("benchmark", "client_dedicated_node"): ("benchmark", "placement", "node"),
    ("dynamo", "version"): ("dynamo", "source", "pypi"),
    ("dynamo", "wheel"): ("dynamo", "source", "wheel"),
    ("dynamo", "hash"): ("dynamo", "source", "rev"),
    ("dynamo", "cargo_patches"): ("dynamo", "patches"),
    ("resources", "prefill_nodes"): ("roles", "prefill", "nodes"),
    ("resources", "prefill_workers"): ("roles", "prefill", "workers"),
    ("resources", "gpus_per_prefill"): ("roles", "prefill", "gpus"),
    ("resources", "decode_nodes"): ("roles", "decode", "nodes"),
    ("resources", "decode_workers"): ("roles", "decode", "workers"),
    ("resources", "gpus_per_decode"): ("roles", "decode", "gpus"),
    ("resources", "agg_nodes"): ("roles", "agg", "nodes"),
    ("resources", "agg_workers"): ("roles", "agg", "workers"),
    ("resources", "gpus_per_agg"): ("roles", "agg", "gpus"),
}
RENAMED: dict[Path, str] = {
    **{old: ".".join(map(str, new)) for old, new in MOVED.items()},
    ("backend",): "engine, and roles for options, environment and extra arguments of the workers",
    ("infra",): "services, with entries of type nats and etcd",
    ("frontend", "dedicated_node"): "frontend.placement.node: dedicated",
    ("benchmark", "client_dedicated_node"): "benchmark.placement.node: dedicated",
}
"""The name in schema 2 of each key of v1, for help on unknown keys."""
FRONTENDS = {"sglang-router": "sglang"}
"""Frontend types that have another name in v1."""
REPOSITORIES = ("github.com/ai-dynamo/dynamo",)
Roles = dict[ir.Mode, dict[str, Any]]


def lower(tree: Mapping, context: Context) -> Draft:
    """Return the draft of one job."""
    draft = Draft(context=context)
    parts = shared.sections(tree, doc.Document2, draft.findings)
    shared.lower_common(parts, draft)
    shared.warn_no_effect(tree, doc.Document2, draft)
    shared.refuse(draft, tree, (("host_setup",), ("post_eval",)))
    _engine(parts.get("engine"), draft)
    _frontend(tree, parts.get("frontend"), draft)
    _benchmark(parts.get("benchmark"), draft)
    _dynamo(parts.get("dynamo"), draft)
    if (entries := parts.get("services")) is not None:
        draft.infra = services.lower(entries, draft)
    _roles(tree, parts.get("roles"), parts.get("resources"), draft)
    draft.findings[:] = [_with_new_name(f) for f in draft.findings]
    return draft


def _with_new_name(finding: Finding) -> Finding:
    """Add the name in schema 2 to the help of an unknown key that v1 has."""
    if finding.rule != "SP110" or finding.path not in RENAMED:
        return finding
    return evolve(finding, help=f"in schema 2, write {RENAMED[finding.path]}")


def moved(path: Path) -> Path:
    """Return a v1 path as spelled in this layout."""
    for length in range(len(path), 0, -1):
        if path[:length] in MOVED:
            return (*MOVED[path[:length]], *path[length:])
    return path


def _engine(section: Mapping | str | None, draft: Draft) -> None:
    if section is None:
        return
    name: str | None = section if isinstance(section, str) else None
    own = NOTHING
    type_at: Path = ("engine",)
    if isinstance(section, Mapping):
        node, type_at = section.get("type"), ("engine", "type")
        name = node.value if isinstance(node, Scalar) and isinstance(node.value, str) else None
        own = section.without("type")
    if name is None:
        hint = "add `type:` under `engine:`"
        draft.error("SP111", ("engine", "type"), "missing key 'type' in engine (a string)", hint=hint)
    elif check_type("engine", name, type_at, draft.findings):
        structured = options("engine", name, own, ("engine",), draft.findings)
        if structured is not None:
            draft.engine = ir.Engine(type=name, options=structured, at=("engine",))


def _frontend(tree: Mapping, section: Mapping | None, draft: Draft) -> None:
    if section is None:
        return
    shared.refuse(
        draft, tree, tuple(("frontend", k) for k in ("worker_selection", "container_image", "numa_bind"))
    )
    entry = section.entries.get("type")
    if entry and isinstance(entry.value, Scalar) and isinstance(entry.value.value, str):
        requested = entry.value.value
        if requested == "sglang":
            message = "srtplan does not support the frontend 'sglang' (one worker without a router)"
            draft.error("SP131", ("frontend", "type"), message, hint="did you mean 'sglang-router'?")
            return
        renamed = Scalar(entry.value.spot, FRONTENDS.get(requested, requested))
        section = section.with_entry("type", entry._replace(value=renamed))
    name, common, own = shared.divide("frontend", section, doc.Frontend2, ("frontend",), draft)
    if common and own is not None:
        node = common.placement.node
        draft.frontend = shared.frontend(
            common,
            own,
            type=name,
            dedicated_node=node == "dedicated",
            placement="first_decode" if node == "first_decode" else "head",
        )


def _benchmark(section: Mapping | None, draft: Draft) -> None:
    if section is None:
        return
    name, common, own = shared.divide("benchmark", section, doc.Benchmark2, ("benchmark",), draft)
    if common and own is not None:
        node = common.placement.node
        draft.benchmark = ir.Benchmark(
            type=name,
            options=own,
            client_placement="last_decode" if node == "last_decode" else "head",
            client_dedicated_node=node == "dedicated",
            colocate_with_frontend=common.colocate_with_frontend,
            retries=common.retries,
            max_failed_share=common.max_failed_share,
        )


def _dynamo(section: doc.Dynamo2 | None, draft: Draft) -> None:
    if section is None:
        return
    source = section.source or doc.DynamoSource()
    sources = {"pypi": source.pypi, "wheel": source.wheel, "git": source.git}
    chosen = [name for name, value in sources.items() if value is not None]
    if len(chosen) > 1:
        message = f"dynamo.source has more than one source: {', '.join(chosen)}"
        draft.error("SP231", ("dynamo", "source", chosen[1]), message, hint="keep one of them")
    if (source.git is None) != (source.rev is None):
        present, missing = ("git", "rev") if source.rev is None else ("rev", "git")
        message = f"dynamo.source has '{present}' but no '{missing}'"
        draft.error("SP231", ("dynamo", "source"), message, hint=f"add `{missing}:` under `dynamo.source:`")
    if source.git is not None and not _is_dynamo_repository(source.git):
        message = "srtplan builds Dynamo only from Dynamo's own repository"
        draft.error("SP131", ("dynamo", "source", "git"), message, hint=f"write https://{REPOSITORIES[0]}")
    built = source.rev or source.wheel or section.top_of_tree
    draft.dynamo = ir.Dynamo(
        install=section.install,
        version=None if built else source.pypi or "0.8.0",
        hash=source.rev,
        top_of_tree=section.top_of_tree,
        wheel=source.wheel,
        cargo_patches=section.patches,
        request_plane=section.request_plane,
        event_plane=section.event_plane,
    )


def _is_dynamo_repository(url: str) -> bool:
    return url.removeprefix("https://").removesuffix("/").removesuffix(".git") in REPOSITORIES


def _roles(tree: Mapping, section: doc.Roles2 | None, nodes: doc.Resources2 | None, draft: Draft) -> None:
    if section is None or nodes is None:
        return
    by_mode: dict[ir.Mode, doc.Role2 | None] = {
        "prefill": section.prefill, "decode": section.decode, "agg": section.agg,
    }  # fmt: skip
    present = {mode: role for mode, role in by_mode.items() if role is not None}
    for mode in present:
        shared.refuse(draft, tree, tuple(("roles", mode, k) for k in ("engine", "sidecar")))
    _require_shared_gpus(present, draft)
    draft.counts = tuple(_counts(m, role, draft) for m, role in present.items())
    draft.gpus_per_node = nodes.gpus_per_node
    if not present:
        hint = "add `prefill:` and `decode:`, or `agg:`, under `roles:`"
        draft.error("SP222", ("roles",), "the recipe has no roles", hint=hint, on_key=True)
    if nodes.gpus_per_node <= 0 or not present:
        return
    sized = resources.sizes(draft.counts, nodes.gpus_per_node)
    draft.idle_roles = tuple(
        _role(m, role, (0, 0, 0), draft) for m, role in present.items() if m not in sized
    )
    draft.resources = ir.Resources(
        gpu_type=nodes.gpu_type,
        gpus_per_node=nodes.gpus_per_node,
        spread_workers=nodes.spread_workers,
        het_jobs=bool(nodes.het_jobs),
        roles=tuple(_role(m, present[m], size, draft) for m, size in sized.items()),
    )


def _require_shared_gpus(roles: dict[ir.Mode, doc.Role2], draft: Draft) -> None:
    """Require `gpus` of both roles if decode shares the prefill nodes: no even share can be computed."""
    decode = roles.get("decode")
    if decode and decode.nodes == "colocate":
        for mode, role in roles.items():
            if role.gpus is None:
                message = (
                    f"missing key 'gpus' in roles.{mode}: required because decode shares the prefill nodes"
                )
                hint = f"add `gpus:` under `roles.{mode}:`"
                draft.error("SP111", ("roles", mode, "gpus"), message, hint=hint)


def _counts(mode: ir.Mode, role: doc.Role2, draft: Draft) -> Counts:
    path: Path = ("roles", mode)
    if role.nodes == "colocate" and mode != "decode":
        message = "'nodes: colocate' is allowed only for decode"
        draft.error("SP223", (*path, "nodes"), message, hint="write the number of nodes")
    if role.nodes == 0:
        hint = (
            "write colocate to share the prefill nodes" if mode == "decode" else "write a number of 1 or more"
        )
        draft.error("SP220", (*path, "nodes"), "nodes must be at least 1, not 0", hint=hint)
    return Counts(
        mode=mode,
        nodes=0 if role.nodes == "colocate" else role.nodes,
        workers=role.workers,
        gpus=role.gpus,
        nodes_at=(*path, "nodes"),
        workers_at=(*path, "workers"),
        gpus_at=(*path, "gpus"),
    )


def _role(mode: ir.Mode, role: doc.Role2, size: tuple[int, int, int], draft: Draft) -> ir.Role:
    nodes, workers, gpus = size
    events = role.kv_events
    return ir.Role(
        mode=mode,
        nodes=nodes,
        workers=workers,
        gpus=gpus,
        args=role.args,
        args_at=("roles", mode, "args"),
        env=role.env,
        env_at=("roles", mode, "env"),
        kv_events=events if isinstance(events, Map) else EMPTY if events else None,
        kv_events_at=("roles", mode, "kv_events"),
        extra_args=role.extra_args,
        extra_args_at=("roles", mode, "extra_args"),
        srun_options=role.srun_options,
        container=role.container,
        critical=role.critical,
        restart=_restart(mode, role.restart, draft),
        at=("roles", mode),
    )


def _restart(mode: ir.Mode, section: str | doc.Restart2 | None, draft: Draft) -> ir.Restart | None:
    if isinstance(section, str):
        section = doc.Restart2(policy=section)  # type: ignore[arg-type]
    restart = section or doc.Restart2(policy="never")
    limits = (
        ("max_restarts", restart.max_restarts, 1),
        ("backoff_seconds", restart.backoff_seconds, 0),
        ("max_backoff_seconds", restart.max_backoff_seconds, restart.backoff_seconds),
    )
    for name, value, minimum in limits:
        if value < minimum:
            message = f"{name} must be at least {minimum}, not {value}"
            draft.error("SP220", ("roles", mode, "restart", name), message)
    if restart.policy == "never":
        return None
    return ir.Restart(
        policy=restart.policy, max_restarts=restart.max_restarts, backoff_s=restart.backoff_seconds,
        max_backoff_s=restart.max_backoff_seconds,
    )  # fmt: skip
