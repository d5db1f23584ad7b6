"""The number of frontends, their nodes, and whether nginx distributes requests to them.

With one worker node, or ``enable_multiple_frontends: false``, one frontend serves the public port of the head node.
Otherwise nginx serves the public port, and one frontend runs on each of the first worker nodes other than the head.
"""

from __future__ import annotations

from attrs import frozen

from srtplan import plugin
from srtplan.ir.recipe import Recipe
from srtplan.ir.topology import Endpoint, Nodes


@frozen(kw_only=True, eq=False, repr=False)
class FrontendLayout:
    """``nginx`` is the node of nginx or None; ``frontends`` are pairs of node and port."""

    nginx: int | None
    frontends: tuple[tuple[int, int], ...]
    public_node: int
    public_port: int


def layout(recipe: Recipe, nodes: Nodes, endpoints: tuple[Endpoint, ...]) -> FrontendLayout:
    """Return the layout for a recipe on its nodes."""
    ports = recipe.site.ports
    if not plugin.frontend(recipe.frontend.type).processes(recipe):
        first = endpoints[0].nodes[0]
        return FrontendLayout(nginx=None, frontends=(), public_node=first, public_port=ports.frontend)
    others = tuple(n for n in nodes.workers if n != nodes.head)
    if not recipe.frontend.multiple or len(nodes.workers) == 1 or not others:
        node = _single(recipe, nodes, endpoints)
        return FrontendLayout(
            nginx=None, frontends=((node, ports.frontend),), public_node=node, public_port=ports.frontend
        )
    chosen = others[: recipe.frontend.additional + 1]
    return FrontendLayout(
        nginx=nodes.head,
        frontends=tuple((n, ports.frontend_internal) for n in chosen),
        public_node=nodes.head,
        public_port=ports.frontend,
    )


def _single(recipe: Recipe, nodes: Nodes, endpoints: tuple[Endpoint, ...]) -> int:
    decode = [e for e in endpoints if e.mode == "decode"]
    if recipe.frontend.placement == "first_decode" and decode:
        return decode[0].nodes[0]
    return nodes.head
