"""Addresses, HTTP endpoints and metrics URLs of the workers, for clients.

``SRT_PREFILL_IPS=${IP[0]},${IP[1]}``, ``SRT_DECODE_ENDPOINTS=http://${IP[2]}:30000``: the leaders of every mode. Only
workers with their own HTTP server accept model requests at these endpoints; Dynamo workers do not.
"""

from __future__ import annotations

from collections.abc import Iterable

from srtplan.plugin import MODES, BenchmarkContext, EnvVar, Mode, Process, Word, ip, word


def workers_env(ctx: BenchmarkContext) -> tuple[EnvVar, ...]:
    """Return the addresses and endpoints of the modes that the job has."""
    out: list[EnvVar] = []
    for mode in MODES:
        leaders = ctx.job.topology.leaders(mode)
        if leaders:
            prefix = f"SRT_{mode.upper()}"
            out.append(EnvVar(name=f"{prefix}_IPS", value=_joined(ip(p.node) for p in leaders)))
            out.append(EnvVar(name=f"{prefix}_ENDPOINTS", value=_joined(endpoints(ctx, mode))))
    return tuple(out)


def endpoints(ctx: BenchmarkContext, mode: Mode) -> tuple[Word, ...]:
    """Return the HTTP endpoints of a mode's workers; with Dynamo, the system port (health, metrics, engine calls)."""
    return tuple(word("http://", _at(ctx, p)) for p in ctx.job.topology.leaders(mode))


def metrics_urls(ctx: BenchmarkContext) -> tuple[Word, ...]:
    """Return the metrics URL of each worker."""
    return tuple(word("http://", _at(ctx, p), "/metrics") for p in ctx.job.topology.processes if p.leader)


def metrics_env(ctx: BenchmarkContext) -> tuple[EnvVar, ...]:
    """Return the metrics URLs as a variable, for custom commands."""
    return (EnvVar(name="AIPERF_SERVER_METRICS_URLS", value=_joined(metrics_urls(ctx))),)


def _at(ctx: BenchmarkContext, process: Process) -> Word:
    return word(ip(process.node), ":", ctx.job.control_port(process))


def _joined(items: Iterable[Word]) -> Word:
    out: list[str | Word] = []
    for item in items:
        out += [",", item] if out else [item]
    return word(*out)
