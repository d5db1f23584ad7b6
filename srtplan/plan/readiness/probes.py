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
from srtplan.ir.topology import Endpoint, Process
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
        *(_workers(job, frontend.health_path) if asks_workers else ()),
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
            yield _worker_of_wave(job, endpoint, wave_gate(wave_of[endpoint.name]))


def _worker_of_wave(job: JobContext, endpoint: Endpoint, gate: str) -> Probe:
    """The probe of a worker: on the system port of a Dynamo worker, else on its serving port."""
    leader = job.topology.of(endpoint)[0]
    port = leader.port("system" if job.interface == "dynamo" else "http")
    return _worker(job, leader, port=port, path="/health", gate=gate)


def _frontends(job: JobContext, layout: FrontendLayout) -> Iterable[Probe]:
    frontend = plugin.frontend(job.recipe.frontend.type)
    wanted = tuple(expected(job).items())
    for n, (node, port) in enumerate(layout.frontends):
        yield Probe(
            step=f"{frontend.step_name}_{n}", type=frontend.probe, node=node, port=port, gate=HEALTH,
            path=frontend.health_path, expect=wanted,
        )  # fmt: skip


def _workers(job: JobContext, path: str) -> Iterable[Probe]:
    """Probes of every worker on its own port, for frontends that do not count workers."""
    direct = not job.frontends
    for leader in (p for p in job.topology.processes if p.leader):
        port = job.public_port if direct else leader.port("http")
        yield _worker(job, leader, port=port, path=path, gate=HEALTH)


def _worker(job: JobContext, leader: Process, *, port: int, path: str, gate: str) -> Probe:
    peers = Counter((p.mode, p.endpoint) for p in job.topology.processes)
    step = worker_step(plugin.engine(job.recipe.engine.type), leader, peers[leader.mode, leader.endpoint])
    return Probe(step=step, type="http", node=leader.node, port=port, gate=gate, path=path)


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
