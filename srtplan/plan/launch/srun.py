"""All srun options of a step.

In: the step, and the options of its plugin, the recipe and the container runtime. Out: options in the order of the
launcher. Of two options with the same name the later one wins and takes the position of the earlier one::

    --overlap --input=none --nodes=1 --ntasks=1 --nodelist=${NODE[3]} --job-name=decode_0 ... --container-image=...
"""

from __future__ import annotations

from collections.abc import Iterable

from srtplan.ir.plan import SrunOption
from srtplan.ir.recipe import Pairs
from srtplan.ir.shell import LOG_DIR, Lit, Word, node, word
from srtplan.ir.topology import Nodes

OVERLAP = SrunOption(name="overlap")
"""Steps share nodes; since Slurm 20.11 a step gets exclusive resources by default (srun(1))."""
NO_INPUT = SrunOption(name="input", value=Lit("none"))
APPEND = SrunOption(name="open-mode", value=Lit("append"))
KILL_ON_BAD_EXIT = SrunOption(name="kill-on-bad-exit", value=Lit("1"))


def options(
    name: str, nodes: tuple[int, ...], ntasks: int, *added: Iterable[SrunOption]
) -> tuple[SrunOption, ...]:
    """The options of a step: the common ones, then the added ones."""
    every = (
        OVERLAP,
        NO_INPUT,
        SrunOption(name="nodes", value=word(len(nodes))),
        SrunOption(name="ntasks", value=word(ntasks)),
        SrunOption(name="nodelist", value=_hosts(nodes)),
        SrunOption(name="job-name", value=Lit(name)),
        SrunOption(name="output", value=word(LOG_DIR, f"/{name}.out")),
        APPEND,
        KILL_ON_BAD_EXIT,
    )
    return tuple({o.name: o for o in (*every, *(o for group in added for o in group))}.values())


def component(roles: Nodes, nodes: tuple[int, ...]) -> tuple[SrunOption, ...]:
    """``--het-group`` with the component of the nodes in a heterogeneous job; empty in any other job."""
    return (SrunOption(name="het-group", value=word(roles.component(nodes[0]))),) if roles.components else ()


def from_recipe(pairs: Pairs) -> tuple[SrunOption, ...]:
    """The recipe's ``srun_options``; an empty value makes a flag."""
    merged = {k.lstrip("-"): v for k, v in pairs}
    return tuple(SrunOption(name=k, value=Lit(v) if v else None) for k, v in merged.items())


def _hosts(nodes: tuple[int, ...]) -> Word:
    parts: list[str | Word] = []
    for n in nodes:
        parts += [",", node(n)] if parts else [node(n)]
    return word(*parts)
