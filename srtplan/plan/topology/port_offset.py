"""What a user may change at compile time without touching recipe or profile: ``--port-offset``.

In: a recipe and an offset. Out: the same recipe with every first port moved. Two jobs that share nodes are
compiled with different offsets; nothing else of them meets, for all their names carry the job id.
"""

from __future__ import annotations

from attrs import asdict, evolve

from srtplan.diagnostics import Finding, PlanError
from srtplan.ir.recipe import Recipe

PORT = "port"
FIXED = ("http_stride", "vllm_stride", "ephemeral_floor")


def shift_ports(recipe: Recipe, offset: int) -> Recipe:
    """The recipe with ``offset`` added to every port. Raises PlanError if one leaves the range that the nodes leave free."""
    if not offset:
        return recipe
    table: dict[str, int] = asdict(recipe.site.ports)
    moved = {name: port + offset for name, port in table.items() if name not in FIXED}
    floor = table["ephemeral_floor"]
    bad = [name for name, port in moved.items() if not 0 < port < floor]
    if bad:
        name = bad[0]
        message = f"with --port-offset {offset} the port of {name} is {moved[name]}, not in 1 to {floor - 1}"
        help_text = "choose another offset, or other ports in the profile"
        found = Finding(rule="SP302", path=("resources",), on_key=True, message=message, help=help_text)
        raise PlanError([found])
    ports = evolve(recipe.site.ports, **moved)
    return evolve(recipe, site=evolve(recipe.site, ports=ports, port_offset=offset))
