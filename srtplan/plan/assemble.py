"""Assemble the Plan of a recipe from placement, ports, launches, probes and directives.

In: a valid Recipe. Out: a verified Plan, or PlanError with findings at paths of the recipe.
"""

from __future__ import annotations

from attrs import evolve

from srtplan import plugin
from srtplan.diagnostics import Finding, InternalError, PlanError
from srtplan.ir.plan import BenchmarkPlan, Plan
from srtplan.ir.recipe import Recipe
from srtplan.ir.shell import LOG_DIR, Lit, Word
from srtplan.ir.topology import Endpoint, Nodes, Topology
from srtplan.plan.launch import sbatch, staging, steps
from srtplan.plan.launch.names import services
from srtplan.plan.readiness import gates, preflight, probes
from srtplan.plan.rules import placement as placement_rules
from srtplan.plan.rules import table as rules
from srtplan.plan.rules import unused_settings
from srtplan.plan.topology import placement, processes, waves
from srtplan.plan.topology.allocate import AllocationError
from srtplan.plan.topology.frontends import FrontendLayout, layout
from srtplan.plan.topology.ports import Allocator, PortsExhaustedError
from srtplan.plan.verify import verify
from srtplan.plugin import JobContext


def plan(recipe: Recipe) -> tuple[Plan, tuple[Finding, ...]]:
    """Return the Plan and its warnings. Raises PlanError for errors in the recipe, InternalError for bugs in srtplan."""
    placed, found = _placed(recipe)
    if placed is None or any(f.severity == "error" for f in found):
        raise PlanError(found)
    try:
        topology, where = _topology(recipe, placed)
    except PortsExhaustedError as e:
        raise PlanError((*found, _exhausted(e))) from e
    found = (
        *found,
        *placement_rules.unused(recipe, placed),
        *unused_settings.placed(recipe, topology.nodes, where),
    )
    result = _assemble(recipe, topology, where)
    if violations := verify(result):
        raise InternalError(violations)
    return result, found


def check_recipe(recipe: Recipe, faulty: frozenset[str] = frozenset()) -> tuple[Finding, ...]:
    """Return the findings of all checks that need no ports. Sections in ``faulty`` are skipped."""
    return _placed(recipe, faulty)[1]


def _placed(
    recipe: Recipe, faulty: frozenset[str] = frozenset()
) -> tuple[placement.Placed | None, tuple[Finding, ...]]:
    """Return the placement of the workers, None if they cannot be placed, and all findings."""
    found = rules.check(recipe, faulty)
    if faulty & {"resources", "engine"}:
        return None, found
    try:
        return placement.place(recipe), found
    except AllocationError as e:
        return None, (*found, _misfit(recipe, e))


def _topology(recipe: Recipe, placed: placement.Placed) -> tuple[Topology, FrontendLayout]:
    engine = plugin.engine(recipe.engine.type)
    roles, endpoints = placed
    roles = _bench(recipe, roles, endpoints)
    where = layout(recipe, roles, endpoints)
    ports = Allocator.over(recipe.site.ports, _fixed(recipe, roles, where))
    expanded = processes.expand(recipe, engine, endpoints, ports)
    return Topology(nodes=roles, endpoints=endpoints, processes=expanded), where


def _bench(recipe: Recipe, roles: Nodes, endpoints: tuple[Endpoint, ...]) -> Nodes:
    """The node roles, with the client on the last decode node if the recipe requests that."""
    last = [e for e in endpoints if e.mode != "prefill"][-1:]
    if recipe.benchmark.client_placement != "last_decode" or not last:
        return roles
    return evolve(roles, bench=last[0].nodes[-1])


def _fixed(recipe: Recipe, roles: Nodes, where: FrontendLayout) -> list[tuple[int, int]]:
    """(node, port) of services and frontends, whose ports are fixed."""
    infra = [(roles.infra, p) for s in services(recipe) for p in plugin.service(s).ports(recipe)]
    return [*infra, *where.frontends, (where.public_node, where.public_port)]


def _exhausted(e: PortsExhaustedError) -> Finding:
    return Finding(
        rule="SP411", path=("resources",), on_key=True, message=str(e), help="widen `ports:` in the profile"
    )


def _misfit(recipe: Recipe, e: AllocationError) -> Finding:
    role = recipe.resources.role(e.mode) if e.mode else None
    at = role.at if role else ("resources",)
    return Finding(rule="SP410", path=at, on_key=True, message=str(e), help=e.hint)


def _assemble(recipe: Recipe, topology: Topology, where: FrontendLayout) -> Plan:
    engine, frontend = plugin.engine(recipe.engine.type), plugin.frontend(recipe.frontend.type)
    inside = plugin.runtime(recipe.site.runtime).maps_paths
    reached = plugin.interface(recipe)
    assert reached is not None  # noqa: S101 -- SP401 has ended the others
    job = JobContext(
        recipe=recipe,
        topology=topology,
        served_model_name=engine.served_name(recipe) or _stem(recipe.model.path),
        model=staging.model_path(recipe),
        staged=staging.copy_path(recipe),
        logs=_logs(inside=inside),
        interface=reached,
        health_port=engine.health_port(reached),
        frontends=where.frontends,
        public_node=where.public_node,
        public_port=where.public_port,
    )
    launches = steps.launches(job, where)
    probe_list = probes.probes(job, where)
    directives = sbatch.directives(recipe, engine, topology.nodes)
    return Plan(
        name=recipe.name,
        recipe=recipe.source,
        served_model_name=job.served_model_name,
        engine=engine.name,
        frontend=frontend.name,
        sbatch=directives,
        nodes=topology.nodes,
        endpoints=topology.endpoints,
        processes=topology.processes,
        steps=launches.steps,
        sequence=gates.sequence(launches.steps, waves.waves(job)),
        gates=gates.gates(recipe, probe_list),
        probes=probe_list,
        files=launches.files,
        benchmark=BenchmarkPlan(
            type=recipe.benchmark.type, node=topology.nodes.bench, parameters=launches.benchmark.parameters
        ),
        preflight=preflight.checks(job, launches),
        url=steps.public_url(job),
        output_base=recipe.site.output_dir,
        export=sbatch.exported_variables(directives),
        secrets_file=recipe.site.secrets_file,
        network_interface=recipe.site.network_interface,
        reports=recipe.reporting.endpoints,
        time_limit_s=sbatch.time_limit_s(directives),
        warning_s=sbatch.warning_s(directives),
    )


def _stem(path: str) -> str:
    return path.removeprefix("hf:").rstrip("/").rpartition("/")[2]


def _logs(*, inside: bool) -> Word:
    return Lit("/logs") if inside else LOG_DIR
