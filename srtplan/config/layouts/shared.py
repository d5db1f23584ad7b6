"""Lowering shared by both layouts: sections of the same name, the model, mounts, and sections without effect.

In: a structured document, section by section. Out: fields of a ``Draft``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import attrs

from srtplan import plugin
from srtplan.config.layouts import mounts, observability
from srtplan.config.layouts import v1_sections as doc
from srtplan.config.layouts.draft import REMEDY, Draft
from srtplan.config.layouts.environment import expand
from srtplan.config.typed import plugins
from srtplan.config.typed.structure import structure, unknown_key
from srtplan.config.yaml.tree import Mapping, Scalar, at, is_null
from srtplan.diagnostics import Finding, Path
from srtplan.ir import recipe as ir
from srtplan.ir.data import EMPTY

NO_EFFECT = ("enable_config_dump", "output", "lock")
NO_EFFECT_PROFILING = ("isl", "osl", "concurrency")


class Divided(NamedTuple):
    """A section with a plugin: its type, its common fields, and the plugin's options. None marks an invalid part."""

    name: str
    common: Any
    options: object | None


def sections(tree: Mapping, kind: type, findings: list[Finding]) -> dict[str, Any]:
    """Return the sections, each structured on its own, so that an invalid one (None) hides no problem of another."""
    parts: dict[str, Any] = {}
    fields = attrs.fields_dict(attrs.resolve_types(kind))
    for name, field in fields.items():
        if name in tree:
            assert field.type is not None  # noqa: S101 -- every field has its annotation
            parts[name] = structure(tree[name], field.type, (name,), findings)
        elif field.default is attrs.NOTHING:
            hint = f"add `{name}:` ({field.metadata['doc']})"
            findings.append(Finding(rule="SP111", path=(name,), message=f"missing key '{name}'", help=hint))
        else:
            parts[name] = field.default
    findings.extend(unknown_key((k,), fields) for k in tree if k not in fields)
    return parts


def lower_common(parts: dict[str, Any], draft: Draft) -> None:
    """Set the fields of the draft whose sections are the same in both layouts."""
    draft.name = parts.get("name")
    draft.environment = parts.get("environment")
    draft.env_from = parts.get("env_from") or ()
    draft.srun_options = parts.get("srun_options")
    draft.sbatch_directives = parts.get("sbatch_directives")
    draft.setup_script = parts.get("setup_script")
    if slurm := parts.get("slurm"):
        draft.slurm = ir.Slurm(
            account=slurm.account, partition=slurm.partition, time_limit=slurm.time_limit or "01:00:00"
        )
    if health := parts.get("health_check"):
        draft.health_check = ir.HealthCheck(
            max_attempts=health.max_attempts, interval_seconds=health.interval_seconds
        )
    if profiling := parts.get("profiling"):
        draft.profiling = _profiling(profiling)
    observability.lower(parts, draft)
    _model(parts.get("model"), draft)
    _mounts(parts, draft)


def warn_no_effect(tree: Mapping, kind: type, draft: Draft) -> None:
    """Add a warning for each key whose description starts with "no effect"."""
    fields, profiling = attrs.fields_dict(kind), attrs.fields_dict(doc.ProfilingSection)
    unused: list[tuple[Path, str]] = [
        *(((key,), fields[key].metadata["doc"]) for key in NO_EFFECT if key in fields),
        *((("profiling", key), profiling[key].metadata["doc"]) for key in NO_EFFECT_PROFILING),
    ]
    for path, why in unused:
        if not is_null(at(tree, path)):
            message = f"'{path[-1]}' has {why}"
            draft.findings.append(
                Finding(
                    rule="SP132",
                    path=path,
                    on_key=True,
                    severity="warning",
                    message=message,
                    help="remove it",
                )
            )


def refuse(draft: Draft, tree: Mapping, paths: tuple[Path, ...]) -> None:
    """Add an error for each of the paths that the document sets: only srtctl supports them."""
    for path in paths:
        node = at(tree, path)
        if not is_null(node) and not (isinstance(node, Scalar) and node.value in (False, "never")):
            shown = ".".join(map(str, path))
            draft.error("SP131", path, f"srtplan does not support '{shown}'", hint=REMEDY, on_key=True)


def divide(kind: plugin.Kind, section: Mapping, common: type, path: Path, draft: Draft) -> Divided:
    """Split a section into its common fields and the options of its plugin, and structure both."""
    default = attrs.fields_dict(common)["type"].default
    name = plugins.type_of(section, str(default))
    cut = plugins.split(section, common)
    structured = structure(cut.common, common, path, draft.findings)
    own = None
    if plugins.check_type(kind, name, (*path, "type"), draft.findings):
        own = plugins.options(kind, name, cut.own, path, draft.findings, common=common)
    return Divided(name, structured, own)


def frontend(section: doc.FrontendCommon, own: object, **differing: Any) -> ir.Frontend:  # noqa: ANN401
    """Return a frontend; ``differing`` are the fields that the layouts spell differently."""
    return ir.Frontend(
        multiple=section.enable_multiple_frontends,
        additional=section.num_additional_frontends,
        nginx_container=section.nginx_container,
        nginx_raise_ulimit=section.nginx_raise_ulimit,
        nginx_session_affinity=section.nginx_session_affinity,
        nginx_session_affinity_header=section.nginx_session_affinity_header,
        nginx_keepalive_timeout=section.nginx_keepalive_timeout,
        args=section.args or EMPTY,
        env=section.env or (),
        options=own,
        **differing,
    )


def _profiling(section: doc.ProfilingSection) -> ir.Profiling:
    windows: tuple[tuple[ir.Mode, doc.WindowSection | None], ...] = (
        ("prefill", section.prefill),
        ("decode", section.decode),
        ("agg", section.aggregated),
    )
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


def _model(model: doc.ModelSection | None, draft: Draft) -> None:
    if model is None:
        return
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
