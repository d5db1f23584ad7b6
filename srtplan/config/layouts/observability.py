"""What watches a job: ``reporting``, ``observability``, ``telemetry``, ``identity``.

In: these sections as they stand in YAML. Out: ``Reporting`` and ``Observability`` of the Recipe, and a warning (SP133)
for each part that srtctl does with programs of its own, which srtplan does not have::

    reporting: {status: {endpoint: "https://dash/"}, s3: {...}}  ->  Reporting(endpoints=("https://dash",)), SP133 at s3
"""

# ruff: noqa: RUF009 -- may() is attrs.field() with a description

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import attrs
from attrs import frozen

from srtplan.config.layouts.draft import Draft
from srtplan.config.layouts.v1_sections import may
from srtplan.config.typed.structure import structure
from srtplan.config.yaml.tree import Mapping
from srtplan.diagnostics import Finding, Path, no_effect
from srtplan.ir import recipe as ir
from srtplan.ir.data import Map

_URL = re.compile(r"https?://[A-Za-z0-9._~:\[\]-]+(/[A-Za-z0-9._~/%:+-]*)?")


@frozen(kw_only=True, eq=False, repr=False)
class StatusSection:
    """Services that are told of every job: `POST URL/api/jobs`, then `PUT URL/api/jobs/<id>`."""

    endpoint: str | None = may(None, "URL of a status service")
    endpoints: tuple[str, ...] = may((), "URLs of several")


@frozen(kw_only=True, eq=False, repr=False)
class ReportingSection:
    """Who is told how the job goes; the profile's `reporting` is the default."""

    status: StatusSection | None = may(None, "status services")
    ai_analysis: Map | None = may(None, "not done: a warning")
    s3: Map | None = may(None, "not done: a warning")


@frozen(kw_only=True, eq=False, repr=False)
class ObservabilitySection:
    """Traces of Dynamo's own, and metrics of its engines."""

    enabled: bool = may(
        default=False,
        doc="spans and request traces of workers and frontends in their logs, iteration statistics of TensorRT-LLM; "
        "variables and options of the recipe win",
    )
    enable_otel: bool = may(default=False, doc="workers and frontends send their spans by OTLP")
    otel_endpoint: str | None = may(None, "where they send them; Dynamo's default if unset")
    scrape_metrics: bool | None = may(None, "not done: a warning, unless false; else as `enabled`")
    scrape_interval_seconds: float = may(1.0, "no effect without `scrape_metrics`")
    scrape_output: str = may("raw_prometheus.jsonl", "no effect without `scrape_metrics`")
    build_dashboard: bool | None = may(None, "not done: a warning, unless false; else as `enabled`")
    tachometer: Map | None = may(None, "not done: a warning if its `enabled` is true")


def lower(parts: dict[str, Any], draft: Draft) -> None:
    """Both sections of the Recipe, and warnings for all four."""
    sections: dict[str, Mapping | None] = {k: parts.get(k) for k in ("reporting", "observability")}
    reporting = _structure(sections["reporting"], ReportingSection, "reporting", draft)
    if reporting is not None:
        draft.reporting = ir.Reporting(endpoints=tuple(_endpoints(reporting, draft)))
        draft.findings.extend(_undone_reports(reporting))
    watch = _structure(sections["observability"], ObservabilitySection, "observability", draft)
    if watch is not None:
        draft.observability = ir.Observability(
            enabled=watch.enabled, otel=watch.enable_otel, otel_endpoint=watch.otel_endpoint
        )
        draft.findings.extend(_undone_observations(watch))
    draft.findings.extend(_telemetry(parts.get("telemetry")))
    if parts.get("identity"):
        draft.findings.append(_undone(("identity",), "it is not compared with what the workers run"))


def _structure(section: Mapping | None, kind: Any, name: str, draft: Draft) -> Any:  # noqa: ANN401
    return kind() if section is None else structure(section, kind, (name,), draft.findings)


def _endpoints(reporting: ReportingSection, draft: Draft) -> Iterator[str]:
    """Base URLs without a slash at the end, each once."""
    status = reporting.status or StatusSection()
    at: list[tuple[str, Path]] = [(status.endpoint, ("endpoint",))] if status.endpoint else []
    at += [(url, ("endpoints", n)) for n, url in enumerate(status.endpoints)]
    seen: dict[str, None] = {}
    for url, path in at:
        if not _URL.fullmatch(url):
            hint = "such as https://status.example.org; a user name or password cannot be part of it"
            draft.error(
                "SP235", ("reporting", "status", *path), f"'{_safe(url)}' is no URL to report to", hint=hint
            )
        seen[url.rstrip("/")] = None
    yield from seen


def _safe(url: str) -> str:
    """The URL without a password."""
    return re.sub(r"//[^/@]*@", "//***@", url)


def _undone_reports(reporting: ReportingSection) -> Iterator[Finding]:
    if reporting.ai_analysis and dict(reporting.ai_analysis).get("enabled", True):
        yield _undone(("reporting", "ai_analysis"), "a failed job names its cause itself, in status.json")
    if reporting.s3:
        yield _undone(("reporting", "s3"), "logs and results stay in the run's folder")


def _undone_observations(watch: ObservabilitySection) -> Iterator[Finding]:
    for name, why in (
        ("scrape_metrics", "metrics of workers and frontends are not collected"),
        ("build_dashboard", "no dashboard is built"),
    ):
        asked = getattr(watch, name)
        if asked:
            yield _undone(("observability", name), why)
        elif asked is None and watch.enabled:
            message = f"'observability.enabled' stands for '{name}', too: srtplan does not do that, {why}"
            yield _warning(("observability", "enabled"), message, help=f"write {name}: false to say so")
    if not watch.scrape_metrics and not (watch.enabled and watch.scrape_metrics is None):
        for name in ("scrape_interval_seconds", "scrape_output"):
            if getattr(watch, name) != attrs.fields_dict(ObservabilitySection)[name].default:
                yield no_effect(("observability", name), "metrics are not scraped")
    if not watch.scrape_interval_seconds > 0:
        message = f"scrape_interval_seconds must be positive, not {watch.scrape_interval_seconds:g}"
        yield Finding(rule="SP236", path=("observability", "scrape_interval_seconds"), message=message)
    if watch.tachometer and dict(watch.tachometer).get("enabled"):
        yield _undone(("observability", "tachometer"), "GPUs and nodes are not sampled")


def _telemetry(section: Map | None) -> Iterator[Finding]:
    """Power sampling, which a recipe may say it cannot do without."""
    if not section or not section.get("enabled"):
        return
    if section.get("required"):
        message = "srtplan does not sample power, and 'telemetry.required' says that the run is worth nothing without it"
        yield Finding(rule="SP131", path=("telemetry", "required"), on_key=True, message=message)
    else:
        yield _undone(("telemetry",), "power is not sampled while the benchmark runs")


def _undone(path: Path, why: str) -> Finding:
    return _warning(path, f"srtplan does not do '{'.'.join(map(str, path))}': {why}")


def _warning(path: Path, message: str, *, help: str = "") -> Finding:  # noqa: A002 -- the field's name
    return Finding(rule="SP133", path=path, on_key=True, severity="warning", message=message, help=help)
