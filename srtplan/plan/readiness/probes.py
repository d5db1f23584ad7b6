"""Readiness: what is asked of which port, how often, and for how long.

Services: their first port, before workers start. Health gate: every frontend separately must count every instance, then the
public port must answer, within ``health_check.max_attempts * interval_seconds`` for all together.
"""

from __future__ import annotations

from collections import Counter

from srtplan import plugin
from srtplan.ir.plan import Health, Probe
from srtplan.ir.shell import ip, word
from srtplan.plan.launch.names import service_step, services, worker_step
from srtplan.plan.readiness import waves
from srtplan.plan.topology.frontends import FrontendLayout
from srtplan.plugin import JobContext

INFRA_TIMEOUT_S = 120


def probes(job: JobContext, layout: FrontendLayout) -> tuple[Probe, ...]:
    """All probes, in the order in which they are awaited."""
    recipe = job.recipe
    frontend = plugin.frontend(recipe.frontend.type)
    infra = job.topology.nodes.infra
    out = [
        Probe(
            step=service_step(name),
            type=plugin.service(name).probe,
            node=infra,
            port=port,
            stage="infra",
            timeout_s=INFRA_TIMEOUT_S,
        )
        for name in services(recipe)
        for port in plugin.service(name).ports(recipe)[:1]
    ]
    check = recipe.health_check
    budget = check.max_attempts * check.interval_seconds
    out += waves.probes(job, budget)
    for n, (node, port) in enumerate(layout.frontends):
        out.append(
            Probe(
                step=f"{frontend.step_name}_{n}",
                type=frontend.probe,
                node=node,
                port=port,
                stage="health",
                path=frontend.health_path,
                expect=tuple(expected(job).items()),
                interval_s=check.interval_seconds,
                timeout_s=budget,
            )
        )
    out += _workers(job, budget) if frontend.probes_workers or not layout.frontends else []
    if layout.nginx is not None:
        out.append(
            Probe(
                step="nginx",
                type="http",
                node=layout.public_node,
                port=layout.public_port,
                stage="health",
                path="/v1/models",
                interval_s=check.interval_seconds,
                timeout_s=budget,
            )
        )
    return tuple(out)


def _workers(job: JobContext, budget: int) -> list[Probe]:
    """Every worker at its own port, where the frontend does not count them."""
    every = job.recipe.health_check.interval_seconds
    engine = plugin.engine(job.recipe.engine.type)
    peers = Counter((p.mode, p.endpoint) for p in job.topology.processes)
    return [
        Probe(
            step=worker_step(engine, p, peers[p.mode, p.endpoint]),
            type="http",
            node=p.node,
            port=job.answers_at(p),
            stage="health",
            path=engine.health_path,
            interval_s=every,
            timeout_s=budget,
        )
        for p in job.topology.processes
        if p.leader
    ]


def expected(job: JobContext) -> dict[str, int]:
    """Instances that must register: prefill, and decode (which aggregated workers count as)."""
    recipe = job.recipe
    engine = plugin.engine(recipe.engine.type)
    counts = {"prefill": 0, "decode": 0}
    for role in recipe.resources.roles:
        counts["prefill" if role.mode == "prefill" else "decode"] += engine.instances(recipe, role)
    return counts


def health(job: JobContext) -> Health:
    """The gate as a whole."""
    check, counts = job.recipe.health_check, expected(job)
    frontend = plugin.frontend(job.recipe.frontend.type)
    path = frontend.health_path if job.frontends else plugin.engine(job.recipe.engine.type).health_path
    return Health(
        url=word("http://", ip(job.public_node), ":", job.public_port, path),
        prefill=counts["prefill"],
        decode=counts["decode"],
        interval_s=check.interval_seconds,
        timeout_s=check.max_attempts * check.interval_seconds,
    )
