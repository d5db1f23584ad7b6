"""The environment for ``observability``: spans and request traces in the logs of Dynamo, spans exported by OTLP.

Variables of engine, role and recipe override these. Names and values are those of srtctl.
"""

from __future__ import annotations

from srtplan.ir.plan import EnvVar
from srtplan.ir.recipe import Observability
from srtplan.ir.shell import Lit, word
from srtplan.plugin import JobContext

SPANS = (("DYN_LOG", "debug"), ("DYN_LOGGING_JSONL", "true"), ("DYN_LOGGING_SPAN_EVENTS", "true"))


def worker(watch: Observability, mode: str) -> tuple[EnvVar, ...]:
    """The variables of a worker."""
    return _shared(watch, mode)


def frontend(job: JobContext) -> tuple[EnvVar, ...]:
    """The variables of a Dynamo frontend, which writes the request trace to one file in the log directory."""
    watch = job.recipe.observability
    if job.interface != "dynamo":
        return ()
    trace = (
        EnvVar(name="DYN_REQUEST_TRACE", value=Lit("1")),
        EnvVar(name="DYN_REQUEST_TRACE_FILE_PATH", value=word(job.logs, "/dynamo-request-trace")),
    )
    return (*_shared(watch, "frontend"), *(trace if watch.enabled else ()))


def _shared(watch: Observability, component: str) -> tuple[EnvVar, ...]:
    values = dict(SPANS) if watch.enabled else {}
    if watch.otel:
        values |= {"DYN_LOGGING_JSONL": "1", "OTEL_EXPORT_ENABLED": "1"}
        values |= {"OTEL_SERVICE_NAME": f"dynamo-{component}"}
        if watch.otel_endpoint:
            values["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = watch.otel_endpoint
    return tuple(EnvVar(name=k, value=Lit(v)) for k, v in values.items())
