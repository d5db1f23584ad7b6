"""What a user may change at compile time without touching recipe or profile: ``--port-offset``.

In: a recipe and an offset. Out: the same recipe with every first port moved. Two jobs that share nodes are
compiled with different offsets; nothing else of them meets, for all their names carry the job id.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import asdict, evolve

from srtplan import flags
from srtplan.diagnostics import Finding, Path
from srtplan.ir.data import EMPTY
from srtplan.ir.recipe import Recipe
from srtplan.plan.assemble import PlanError

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
    return evolve(recipe, site=evolve(recipe.site, ports=ports))


def unmoved(recipe: Recipe, offset: int) -> Iterable[Finding]:
    """Ports that the recipe says itself: another job on these nodes would have the same, so the user shall know."""
    for path, name, value in _said(recipe) if offset else ():
        yield Finding(
            rule="SP419",
            path=path,
            severity="warning",
            message=f"--port-offset {offset} does not move '{name}: {value}', which the recipe says itself",
            help="leave it out to have the plan choose and move it",
        )


def _said(recipe: Recipe) -> Iterator[tuple[Path, str, int]]:
    """Options of workers and frontend that are named as ports and have a number."""
    sections = [(role.args_at, role.args) for role in recipe.resources.roles]
    sections.append(((*recipe.frontend.at, "args"), recipe.frontend.args))
    for at, args in sections:
        for key, value in args.pairs:
            number = flags.number(value)
            if flags.dashed(key).rpartition("-")[2] == PORT and number is not None:
                yield (*at, key), key, number
    for role in recipe.resources.roles:
        for n, word in enumerate(role.extra_args):
            name = flags.dashed(word.partition("=")[0].lstrip("-"))
            number = flags.count(EMPTY, role.extra_args[n : n + 2], name)
            if word.startswith("-") and name.rpartition("-")[2] == PORT and number is not None:
                yield (*role.extra_args_at, n), name, number
