"""The sections that watch a job: ``reporting``, ``observability``, ``telemetry``, ``identity``.

In: these sections as written in YAML. Out: ``Reporting`` and ``Observability`` of the Recipe, and a warning (SP133) for
each part that only srtctl implements::

    reporting: {status: {endpoint: "https://dash/"}, s3: {...}}  ->  Reporting(endpoints=("https://dash",)), SP133 at s3
"""

# ruff: noqa: RUF009 -- may() is attrs.field() with a description

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import attrs
from attrs import frozen

from srtplan.config.layouts.draft import REMEDY, Draft
from srtplan.config.layouts.v1_sections import may
from srtplan.config.typed.structure import structure
from srtplan.config.yaml.tree import Mapping
from srtplan.diagnostics import Finding, Path, no_effect
from srtplan.ir import recipe as ir
from srtplan.ir.data import Map

_URL = re.compile(r"https?://[A-Za-z0-9._~:\[\]-]+(/[A-Za-z0-9._~/%:+-]*)?")


@frozen(kw_only=True, eq=False, repr=False)
class StatusSection:
    """Services that receive the state of every job: `POST URL/api/jobs`, then `PUT URL/api/jobs/<id>`."""

    endpoint: str | None = may(None, "URL of a status service")
    endpoints: tuple[str, ...] = may((), "URLs of several status services")


@frozen(kw_only=True, eq=False, repr=False)
class ReportingSection:
    """Services that receive the state of the job. Defaults to `reporting` of the profile."""

    status: StatusSection | None = may(None, "status services")
    ai_analysis: Map | None = may(None, "ignored with a warning")
    s3: Map | None = may(None, "ignored with a warning")


@frozen(kw_only=True, eq=False, repr=False)
class ObservabilitySection:
    """Traces of Dynamo, and statistics of its engines."""

    enabled: bool = may(
        default=False,
        doc="write spans and request traces of workers and frontends to their logs, and enable iteration statistics of "
        "TensorRT-LLM; variables and options of the recipe take precedence",
    )
    enable_otel: bool = may(default=False, doc="export spans of workers and frontends over OTLP")
    otel_endpoint: str | None = may(None, "OTLP endpoint; defaults to Dynamo's default")
    scrape_metrics: bool | None = may(None, "ignored with a warning unless `false`; defaults to `enabled`")
    scrape_interval_seconds: float = may(1.0, "ignored, as is `scrape_metrics`")
    scrape_output: str = may("raw_prometheus.jsonl", "ignored, as is `scrape_metrics`")
    build_dashboard: bool | None = may(None, "ignored with a warning unless `false`; defaults to `enabled`")
    tachometer: Map | None = may(None, "ignored, with a warning if its `enabled` is `true`")


def lower(parts: dict[str, Any], draft: Draft) -> None:
    """Set both sections of the draft, and add warnings for all four."""
    sections: dict[str, Mapping | None] = {k: parts.get(k) for k in ("reporting", "observability")}
    reporting = _structure(sections["reporting"], ReportingSection, "reporting", draft)
    if reporting is not None:
        draft.reporting = ir.Reporting(endpoints=tuple(_endpoints(reporting, draft)))
        draft.findings.extend(_ignored_reports(reporting))
    watch = _structure(sections["observability"], ObservabilitySection, "observability", draft)
    if watch is not None:
        draft.observability = ir.Observability(
            enabled=watch.enabled, otel=watch.enable_otel, otel_endpoint=watch.otel_endpoint
        )
        draft.findings.extend(_ignored_observations(watch))
    draft.findings.extend(_telemetry(parts.get("telemetry")))
    if parts.get("identity"):
        why = "srtplan does not verify which versions the workers run"
        draft.findings.append(_ignored(("identity",), why))


def _structure(section: Mapping | None, kind: Any, name: str, draft: Draft) -> Any:  # noqa: ANN401
    return kind() if section is None else structure(section, kind, (name,), draft.findings)


def _endpoints(reporting: ReportingSection, draft: Draft) -> Iterator[str]:
    """Yield the distinct base URLs, without a trailing slash."""
    status = reporting.status or StatusSection()
    at: list[tuple[str, Path]] = [(status.endpoint, ("endpoint",))] if status.endpoint else []
    at += [(url, ("endpoints", n)) for n, url in enumerate(status.endpoints)]
    seen: dict[str, None] = {}
    for url, path in at:
        if not _URL.fullmatch(url):
            message = f"'{_mask_password(url)}' is not a URL of a status service"
            hint = "write a URL such as https://status.example.org, without user name, password and query"
            draft.error("SP235", ("reporting", "status", *path), message, hint=hint)
        seen[url.rstrip("/")] = None
    yield from seen


def _mask_password(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//***@", url)


def _ignored_reports(reporting: ReportingSection) -> Iterator[Finding]:
    if reporting.ai_analysis and dict(reporting.ai_analysis).get("enabled", True):
        yield _ignored(("reporting", "ai_analysis"), "a failed job writes its cause to status.json")
    if reporting.s3:
        yield _ignored(("reporting", "s3"), "srtplan does not upload logs and results")


def _ignored_observations(watch: ObservabilitySection) -> Iterator[Finding]:
    for name, value, why in (
        ("scrape_metrics", watch.scrape_metrics, "srtplan does not collect metrics of workers and frontends"),
        ("build_dashboard", watch.build_dashboard, "srtplan does not build dashboards"),
    ):
        if value:
            yield _ignored(("observability", name), why)
        elif value is None and watch.enabled:
            message = f"'observability.enabled' implies '{name}', which is ignored: {why}"
            hint = f"add `{name}: false` under `observability:` to silence this warning"
            yield _warning(("observability", "enabled"), message, help=hint)
    if not watch.scrape_metrics and not (watch.enabled and watch.scrape_metrics is None):
        for name in ("scrape_interval_seconds", "scrape_output"):
            if getattr(watch, name) != attrs.fields_dict(ObservabilitySection)[name].default:
                yield no_effect(("observability", name), "scrape_metrics is off")
    if not watch.scrape_interval_seconds > 0:
        message = f"scrape_interval_seconds must be positive, not {watch.scrape_interval_seconds:g}"
        yield Finding(
            rule="SP236",
            path=("observability", "scrape_interval_seconds"),
            message=message,
            help="write a positive number of seconds, or remove the key",
        )
    if watch.tachometer and dict(watch.tachometer).get("enabled"):
        yield _ignored(("observability", "tachometer"), "srtplan does not sample GPUs and nodes")


def _telemetry(section: Map | None) -> Iterator[Finding]:
    """Yield a warning for requested power sampling, or an error if the recipe requires it."""
    if not section or not section.get("enabled"):
        return
    if section.get("required"):
        message = "this recipe requires power telemetry, which srtplan does not collect"
        hint = "set `required: false` under `telemetry:` to run without it"
        yield Finding(rule="SP131", path=("telemetry", "required"), on_key=True, message=message, help=hint)
    else:
        yield _ignored(("telemetry",), "srtplan does not sample power")


def _ignored(path: Path, why: str) -> Finding:
    return _warning(path, f"'{'.'.join(map(str, path))}' is ignored: {why}", help=REMEDY)


def _warning(path: Path, message: str, *, help: str) -> Finding:  # noqa: A002 -- the field's name
    return Finding(rule="SP133", path=path, on_key=True, severity="warning", message=message, help=help)
