"""The readiness probes of each gate.

Gate ``infra``: the first port of every service, before anything else starts. Gates ``wave_0`` and up: every worker of a
wave before the last. Gate ``health``: every frontend must report all instances, and the public port must answer, within
``health_check.max_attempts * interval_seconds``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from srtplan import plugin
from srtplan.ir.plan import Probe
from srtplan.ir.topology import Process
from srtplan.plan.launch.names import service_step, services, worker_step
from srtplan.plan.readiness.gates import HEALTH, INFRA, wave_gate
from srtplan.plan.topology.frontends import FrontendLayout
from srtplan.plan.topology.waves import waves
from srtplan.plugin import JobContext


def probes(job: JobContext, layout: FrontendLayout) -> tuple[Probe, ...]:
    """All probes, in the order of their gates."""
    frontend = plugin.frontend(job.recipe.frontend.type)
    asks_workers = frontend.probes_workers or not layout.frontends
    return (
        *_services(job),
        *_waves(job),
        *_frontends(job, layout),
        *(_workers(job) if asks_workers else ()),
        *_public(layout),
    )


def _services(job: JobContext) -> Iterable[Probe]:
    for name in services(job.recipe):
        service = plugin.service(name)
        for port in service.ports(job.recipe)[:1]:
            yield Probe(
                step=service_step(name),
                type=service.probe,
                node=job.topology.nodes.infra,
                port=port,
                gate=INFRA,
            )


def _waves(job: JobContext) -> Iterable[Probe]:
    wave_of = waves(job)
    last = max(wave_of.values(), default=0)
    for endpoint in job.topology.endpoints:
        if wave_of[endpoint.name] < last:
            yield _worker(job, job.topology.of(endpoint)[0], gate=wave_gate(wave_of[endpoint.name]))


def _frontends(job: JobContext, layout: FrontendLayout) -> Iterable[Probe]:
    frontend = plugin.frontend(job.recipe.frontend.type)
    wanted = tuple(expected(job).items())
    for n, (node, port) in enumerate(layout.frontends):
        yield Probe(
            step=f"{frontend.step_name}_{n}", type=frontend.probe, node=node, port=port, gate=HEALTH,
            path=frontend.health_path, expect=wanted,
        )  # fmt: skip


def _workers(job: JobContext) -> Iterable[Probe]:
    """Probes of every worker on its own port, for frontends that do not count workers."""
    for leader in (p for p in job.topology.processes if p.leader):
        yield _worker(job, leader, gate=HEALTH)


def _worker(job: JobContext, leader: Process, *, gate: str) -> Probe:
    engine = plugin.engine(job.recipe.engine.type)
    peers = Counter((p.mode, p.endpoint) for p in job.topology.processes)
    step, port = worker_step(engine, leader, peers[leader.mode, leader.endpoint]), job.control_port(leader)
    return Probe(step=step, type="http", node=leader.node, port=port, gate=gate, path=engine.health_path)


def _public(layout: FrontendLayout) -> Iterable[Probe]:
    if layout.nginx is not None:
        yield Probe(
            step="nginx",
            type="http",
            node=layout.public_node,
            port=layout.public_port,
            gate=HEALTH,
            path="/v1/models",
        )


def expected(job: JobContext) -> dict[str, int]:
    """The number of instances that must register, by mode; aggregated workers count as decode."""
    recipe = job.recipe
    engine = plugin.engine(recipe.engine.type)
    counts = {"prefill": 0, "decode": 0}
    for role in recipe.resources.roles:
        counts["prefill" if role.mode == "prefill" else "decode"] += engine.instances(recipe, role)
    return counts
