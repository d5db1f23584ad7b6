"""A v1 document to a draft of the Recipe.

In: the merged tree of one job, and what lowering may know. Out: a ``Draft`` with everything that could be structured::

    resources: {prefill_nodes: 1, prefill_workers: 2, ...}      Role(mode="prefill", nodes=1, workers=2, gpus=4,
    backend: {prefill_environment: {A: "1"}, ...}           ->       env=(("A", "1"),), args=..., at=("resources",))
"""

from __future__ import annotations

from typing import Any

import attrs

from srtplan.config import document as doc
from srtplan.config import mounts, plugins, resources
from srtplan.config.draft import Context, Counts, Draft
from srtplan.config.environment import expand
from srtplan.config.structure import structure, unknown_key
from srtplan.config.tree import Mapping, is_null
from srtplan.diagnostics import Finding, Path
from srtplan.ir import recipe as ir
from srtplan.ir.data import EMPTY, Map

DOCUMENT_KEYS: dict[ir.Mode, str] = {"prefill": "prefill", "decode": "decode", "agg": "aggregated"}
NO_EFFECT = ("enable_config_dump", "output", "reporting", "identity", "observability", "telemetry")
attrs.resolve_types(doc.Document)


def lower(tree: Mapping, context: Context) -> Draft:
    """The draft of one job."""
    draft = Draft(context=context)
    parts = _sections(tree, draft.findings)
    _simple(parts, draft)
    _model(parts, draft)
    _mounts(parts, draft)
    _no_effect(tree, draft)
    _frontend(parts.get("frontend"), draft)
    _benchmark(parts.get("benchmark"), draft)
    roles = _backend(parts.get("backend"), draft)
    _resources(parts.get("resources"), roles, draft)
    return draft


def _sections(tree: Mapping, findings: list[Finding]) -> dict[str, Any]:
    """The sections that could be structured, each on its own, so that one fault hides no other."""
    fields = {f.name: f for f in attrs.fields(doc.Document)}
    parts: dict[str, Any] = {}
    for name, field in fields.items():
        if name in tree:
            assert field.type is not None  # noqa: S101 -- every field has its annotation
            before = len(findings)
            value = structure(tree[name], field.type, (name,), findings)
            parts |= {} if len(findings) > before else {name: value}
        elif field.default is attrs.NOTHING:
            message = f"missing key '{name}': {field.metadata['doc']}"
            findings.append(Finding(rule="SP111", path=(name,), message=message))
        else:
            parts[name] = field.default
    findings.extend(unknown_key((k,), fields) for k in tree if k not in fields)
    return parts


def _simple(parts: dict[str, Any], draft: Draft) -> None:
    """Sections that need no more than other names."""
    draft.name = parts.get("name")
    draft.environment = parts.get("environment")
    draft.srun_options = parts.get("srun_options")
    draft.sbatch_directives = parts.get("sbatch_directives")
    draft.setup_script = parts.get("setup_script")
    if slurm := parts.get("slurm"):
        draft.slurm = ir.Slurm(
            account=slurm.account, partition=slurm.partition, time_limit=slurm.time_limit or "01:00:00"
        )
    if infra := parts.get("infra"):
        draft.infra = ir.Infra(
            dedicated_node=infra.etcd_nats_dedicated_node, nats_max_payload_mb=infra.nats_max_payload_mb
        )
    if health := parts.get("health_check"):
        draft.health_check = ir.HealthCheck(
            max_attempts=health.max_attempts, interval_seconds=health.interval_seconds
        )
    if dynamo := parts.get("dynamo"):
        values = attrs.asdict(dynamo)
        built = dynamo.hash or dynamo.top_of_tree or dynamo.wheel
        draft.dynamo = ir.Dynamo(**values | {"version": None if built else dynamo.version})
        if built and dynamo.version != attrs.fields(doc.DynamoSection).version.default:
            message = "dynamo.version has no effect beside another source"
            draft.findings.append(
                Finding(rule="SP231", path=("dynamo", "version"), severity="warning", message=message)
            )
    if profiling := parts.get("profiling"):
        draft.profiling = _profiling(profiling)


def _profiling(section: doc.ProfilingSection) -> ir.Profiling:
    windows = [(mode, getattr(section, key)) for mode, key in DOCUMENT_KEYS.items()]
    return ir.Profiling(
        type=section.type,
        windows=tuple(
            (m, ir.Window(start_step=w.start_step, stop_step=w.stop_step)) for m, w in windows if w
        ),
        delay_secs=section.delay_secs,
        duration_secs=section.duration_secs,
        benchmark_duration_secs=section.benchmark_duration_secs,
        extra_nsys_args=section.extra_nsys_args,
    )


def _model(parts: dict[str, Any], draft: Draft) -> None:
    model: doc.ModelSection | None = parts.get("model")
    if model:
        environ, findings = draft.context.environ, draft.findings
        stage = model.stage_dir
        draft.model = ir.Model(
            path=expand(model.path, environ, ("model", "path"), findings),
            container=expand(model.container, environ, ("model", "container"), findings),
            precision=model.precision,
            stage_dir=None if stage is None else expand(stage, environ, ("model", "stage_dir"), findings),
        )


def _mounts(parts: dict[str, Any], draft: Draft) -> None:
    environ, findings = draft.context.environ, draft.findings
    extra = [
        mounts.from_text(text, environ, ("extra_mount", n), findings)
        for n, text in enumerate(parts.get("extra_mount") or ())
    ]
    named = [
        mounts.make(host, target, "", "recipe", environ, ("container_mounts", host), findings)
        for host, target in parts.get("container_mounts") or ()
    ]
    draft.mounts = tuple(m for m in (*extra, *named) if m)


def _no_effect(tree: Mapping, draft: Draft) -> None:
    """Sections that change nothing are said to change nothing."""
    fields = attrs.fields_dict(doc.Document)
    for key in NO_EFFECT:
        if not is_null(tree.get(key)):
            text = fields[key].metadata["doc"].removeprefix("no effect").lstrip(":, ")
            message = f"'{key}' has no effect: {text}"
            draft.findings.append(
                Finding(rule="SP132", path=(key,), on_key=True, severity="warning", message=message)
            )


def _frontend(section: Mapping | None, draft: Draft) -> None:
    if section is None:
        return
    path, findings = ("frontend",), draft.findings
    cut = plugins.split(section, doc.FrontendSection)
    common = structure(cut.common, doc.FrontendSection, path, findings)
    name = plugins.type_of(section, "dynamo")
    own = None
    if plugins.check_type("frontend", name, (*path, "type"), findings):
        own = plugins.options("frontend", name, cut.own, path, findings)
    if common and own is not None:
        draft.frontend = _common_frontend(common, own)


def _common_frontend(section: doc.FrontendSection, own: object) -> ir.Frontend:
    return ir.Frontend(
        type=section.type,
        multiple=section.enable_multiple_frontends,
        additional=section.num_additional_frontends,
        nginx_container=section.nginx_container,
        nginx_raise_ulimit=section.nginx_raise_ulimit,
        nginx_session_affinity=section.nginx_session_affinity,
        nginx_session_affinity_header=section.nginx_session_affinity_header,
        nginx_keepalive_timeout=section.nginx_keepalive_timeout,
        placement=section.orchestrator_placement,
        dedicated_node=section.dedicated_node,
        args=section.args or EMPTY,
        env=section.env or (),
        options=own,
    )


def _benchmark(section: Mapping | None, draft: Draft) -> None:
    if section is None:
        return
    path, findings = ("benchmark",), draft.findings
    cut = plugins.split(section, doc.BenchmarkSection)
    common = structure(cut.common, doc.BenchmarkSection, path, findings)
    name = plugins.type_of(section, "manual")
    own = None
    if plugins.check_type("benchmark", name, (*path, "type"), findings):
        own = plugins.options("benchmark", name, cut.own, path, findings)
    if common and own is not None:
        draft.benchmark = ir.Benchmark(options=own, **attrs.asdict(common))


def _backend(section: Mapping | None, draft: Draft) -> dict[ir.Mode, dict[str, Any]] | None:
    """The engine into the draft; what belongs to the roles is returned by mode."""
    if section is None:
        return None
    path, findings = ("backend",), draft.findings
    name = plugins.type_of(section, "sglang")
    known = plugins.check_type("engine", name, (*path, "type"), findings)
    config = f"{name}_config"
    cut = plugins.split(section, doc.BackendSection)
    common = structure(cut.common, doc.BackendSection, path, findings)
    args: doc.EngineArgs | None = doc.EngineArgs()
    if not is_null(section.get(config)):
        args = structure(section[config], doc.EngineArgs, (*path, config), findings)
    if known:
        own = plugins.options("engine", name, cut.own.without(config), path, findings)
        draft.engine = None if own is None else ir.Engine(type=name, options=own)
    if not common or not args:
        return None
    return {m: _role(common, args, config, m) for m in ir.MODES}


def _role(common: doc.BackendSection, args: doc.EngineArgs, config: str, mode: ir.Mode) -> dict[str, Any]:
    key = DOCUMENT_KEYS[mode]
    return {
        "args": getattr(args, key) or EMPTY,
        "args_at": ("backend", config, key),
        "env": getattr(common, f"{key}_environment"),
        "env_at": ("backend", f"{key}_environment"),
        "kv_events": _kv_events(common.kv_events_config, mode),
        "at": ("resources",),
    }


def _kv_events(
    config: doc.KvEvents | bool | None,  # noqa: FBT001 -- the value as YAML has it
    mode: ir.Mode,
) -> Map | None:
    """True alone means prefill and decode."""
    if isinstance(config, doc.KvEvents):
        value = getattr(config, DOCUMENT_KEYS[mode])
        return value if isinstance(value, Map) else EMPTY if value else None
    return EMPTY if config and mode != "agg" else None


def _resources(
    section: doc.ResourcesSection | None, roles: dict[ir.Mode, dict[str, Any]] | None, draft: Draft
) -> None:
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
