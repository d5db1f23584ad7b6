"""``--port-offset``: shift all ports of a job at compile time.

In: a recipe and an offset. Out: the same recipe with every first port shifted. Two jobs that share nodes are compiled with
different offsets. Nothing else of them can conflict, because all other names contain the job id.
"""

from __future__ import annotations

from attrs import asdict, evolve

from srtplan.diagnostics import Finding, PlanError
from srtplan.ir.recipe import Recipe

PORT = "port"
FIXED = ("http_stride", "vllm_stride", "ephemeral_floor")


def shift_ports(recipe: Recipe, offset: int) -> Recipe:
    """Return the recipe with ``offset`` added to every port. Raises PlanError if a port leaves the usable range."""
    if not offset:
        return recipe
    table: dict[str, int] = asdict(recipe.site.ports)
    moved = {name: port + offset for name, port in table.items() if name not in FIXED}
    floor = table["ephemeral_floor"]
    bad = [name for name, port in moved.items() if not 0 < port < floor]
    if bad:
        name = bad[0]
        message = (
            f"--port-offset {offset} shifts port {name} to {moved[name]}, which is not in 1 to {floor - 1}"
        )
        help_text = "use another offset, or set other ports under `ports:` in the cluster profile"
        found = Finding(rule="SP302", path=("resources",), on_key=True, message=message, help=help_text)
        raise PlanError([found])
    ports = evolve(recipe.site.ports, **moved)
    return evolve(recipe, site=evolve(recipe.site, ports=ports, port_offset=offset))
