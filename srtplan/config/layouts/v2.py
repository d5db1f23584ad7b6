"""A ``schema: 2`` document to a draft of the same Recipe that v1 becomes.

In: the merged tree of one job. Out: a ``Draft``; what the Recipe cannot say is refused (SP131), never ignored::

    roles: {decode: {nodes: colocate, workers: 2, gpus: 4}}     Role(mode="decode", nodes=0, workers=2, gpus=4,
    engine: sglang                                          ->       at=("roles", "decode"))

Rules and later stages speak of v1's paths (``("infra", "nats_max_payload_mb")``); ``MOVED`` says where that stands here.
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
    **{("resources", f"{m}_nodes"): ("roles", m, "nodes") for m in ir.MODES},
    **{("resources", f"{m}_workers"): ("roles", m, "workers") for m in ir.MODES},
    **{("resources", f"gpus_per_{m}"): ("roles", m, "gpus") for m in ir.MODES},
}
RENAMED: dict[Path, str] = {
    **{old: ".".join(map(str, new)) for old, new in MOVED.items()},
    ("backend",): "engine; options, environment and further words of the workers are in roles",
    ("infra",): "services: entries of type nats and etcd",
    ("frontend", "dedicated_node"): "frontend.placement.node: dedicated",
    ("benchmark", "client_dedicated_node"): "benchmark.placement.node: dedicated",
}
"""What keys of v1 are called here, for those who write them by habit."""
FRONTENDS = {"sglang-router": "sglang"}
"""Types with another name in v1."""
REPOSITORIES = ("github.com/ai-dynamo/dynamo",)
Roles = dict[ir.Mode, dict[str, Any]]


def lower(tree: Mapping, context: Context) -> Draft:
    """The draft of one job."""
    draft = Draft(context=context)
    parts = shared.sections(tree, doc.Document2, draft.findings)
    shared.same(parts, draft)
    shared.no_effect(tree, doc.Document2, draft)
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
    """An unknown key that v1 has: what it is called here."""
    if finding.rule != "SP110" or finding.path not in RENAMED:
        return finding
    return evolve(finding, help=f"in schema 2 this is {RENAMED[finding.path]}")


def moved(path: Path) -> Path:
    """The place of a v1 path in this layout."""
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
        draft.error("SP111", ("engine", "type"), "missing key 'type' in engine (text)")
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
        asked = entry.value.value
        if asked == "sglang":
            message = "srtplan does not support the frontend 'sglang' (one worker without a router) yet"
            draft.error("SP131", ("frontend", "type"), message, hint="did you mean 'sglang-router'?")
            return
        renamed = Scalar(entry.value.spot, FRONTENDS.get(asked, asked))
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
    given = [name for name in ("pypi", "wheel", "git") if getattr(source, name) is not None]
    if len(given) > 1:
        message = f"dynamo.source has more than one source: {', '.join(given)}"
        draft.error("SP231", ("dynamo", "source", given[1]), message, hint="keep one of them")
    if (source.git is None) != (source.rev is None):
        missing = "rev" if source.rev is None else "git"
        draft.error(
            "SP231", ("dynamo", "source"), f"dynamo.source needs '{missing}', too: git and rev go together"
        )
    if source.git is not None and not _own_repository(source.git):
        message = "srtplan builds Dynamo from its own repository only"
        draft.error("SP131", ("dynamo", "source", "git"), message, hint=f"https://{REPOSITORIES[0]}")
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


def _own_repository(url: str) -> bool:
    return url.removeprefix("https://").removesuffix("/").removesuffix(".git") in REPOSITORIES


def _roles(tree: Mapping, section: doc.Roles2 | None, nodes: doc.Resources2 | None, draft: Draft) -> None:
    if section is None or nodes is None:
        return
    given = {m: role for m in ir.MODES if (role := getattr(section, m)) is not None}
    for mode in given:
        shared.refuse(draft, tree, tuple(("roles", mode, k) for k in ("engine", "sidecar")))
    _shares_said(given, draft)
    draft.counts = tuple(_counts(m, role, draft) for m, role in given.items())
    draft.gpus_per_node = nodes.gpus_per_node
    if not given:
        draft.error("SP222", ("roles",), "there are no roles: give prefill and decode, or agg", on_key=True)
    if nodes.gpus_per_node <= 0 or not given:
        return
    sized = resources.sizes(draft.counts, nodes.gpus_per_node)
    draft.idle_roles = tuple(_role(m, role, (0, 0, 0), draft) for m, role in given.items() if m not in sized)
    draft.resources = ir.Resources(
        gpu_type=nodes.gpu_type,
        gpus_per_node=nodes.gpus_per_node,
        spread_workers=nodes.spread_workers,
        het_jobs=bool(nodes.het_jobs),
        roles=tuple(_role(m, given[m], size, draft) for m, size in sized.items()),
    )


def _shares_said(given: dict[ir.Mode, doc.Role2], draft: Draft) -> None:
    """Where decode shares the prefill nodes, both say their GPUs: there is nothing to divide evenly."""
    decode = given.get("decode")
    if decode and decode.nodes == "colocate":
        for mode, role in given.items():
            if role.gpus is None:
                message = f"missing key 'gpus' in roles.{mode}: it cannot be derived where nodes are shared"
                draft.error("SP111", ("roles", mode, "gpus"), message)


def _counts(mode: ir.Mode, role: doc.Role2, draft: Draft) -> Counts:
    path: Path = ("roles", mode)
    if role.nodes == "colocate" and mode != "decode":
        draft.error("SP223", (*path, "nodes"), "only decode workers can share the nodes of others")
    if role.nodes == 0:
        draft.error(
            "SP220",
            (*path, "nodes"),
            "nodes must be positive",
            hint="write colocate to share the prefill nodes",
        )
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


def _restart(mode: ir.Mode, given: str | doc.Restart2 | None, draft: Draft) -> ir.Restart | None:
    said = doc.Restart2(policy=given) if isinstance(given, str) else given or doc.Restart2(policy="never")  # type: ignore[arg-type]
    limits = {"max_restarts": 1, "backoff_seconds": 0, "max_backoff_seconds": said.backoff_seconds}
    for name, least in limits.items():
        if getattr(said, name) < least:
            draft.error("SP220", ("roles", mode, "restart", name), f"{name} must be at least {least}")
    if said.policy == "never":
        return None
    return ir.Restart(
        policy=said.policy, max_restarts=said.max_restarts, backoff_s=said.backoff_seconds,
        max_backoff_s=said.max_backoff_seconds,
    )  # fmt: skip
