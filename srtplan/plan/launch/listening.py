"""Which ports a worker step opens, for the preflight, where its engine does not list them.

In: a worker's step and its command. Out: the command with every port that the plan gave the process; those of the worker
as a whole belong to its leader.
"""

from __future__ import annotations

from attrs import evolve

from srtplan.plugin import Command, Engine, WorkerContext


def with_ports(ctx: WorkerContext, engine: Engine[object], command: Command) -> Command:
    """The command with the ports that it opens."""
    if command.listens is not None:
        return command
    process = ctx.process
    declared = engine.ports(ctx.job.recipe, ctx.role)
    mine = [port for port in declared if port.scope == "process" or process.leader]
    first = {p.kind: ctx.http_port if p.kind == "http" else process.port(p.kind) for p in mine}
    opened = (first[p.kind] + distance for p in mine for distance in (*range(p.block), *p.offsets))
    return evolve(command, listens=tuple(opened))
