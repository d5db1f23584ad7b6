"""The ``#SBATCH`` directives: what the recipe and profile say, in a fixed order, the recipe's own last.

Added by srtplan: ``--no-requeue`` (a requeued job would start in the middle of its budget), ``--open-mode=append``, and a
warning signal before the time limit, so that its end is orderly. A directive of the recipe replaces one of the same name.

A heterogeneous job has a second block after ``hetjob``: what concerns nodes and queue stands in both, what concerns the
batch script in the first only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from srtplan.flags import seconds
from srtplan.ir.recipe import WARNING_S, Recipe
from srtplan.ir.topology import Nodes
from srtplan.plugin import Engine

LOG = "srtplan-%j.log"
CONTRARY = {"requeue": "no-requeue"}
KEYWORDS = frozenset(("ALL", "NONE", "NIL"))
"""What is no name of a variable in ``--export``; sbatch takes small letters, too."""
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
COMPONENT = "hetjob"
"""Stands between the directives of two components."""
SCRIPT = frozenset((
    "job-name", "output", "open-mode", "no-requeue", "requeue", "signal", "begin", "chdir", "comment", "dependency",
    "export", "export-file", "get-user-env", "hold", "mail-type", "mail-user", "nice", "priority", "wait", "wckey",
))  # fmt: skip
"""Options of the batch script or of the job as a whole."""


def directives(recipe: Recipe, engine: Engine[object], nodes: Nodes) -> tuple[str, ...]:
    """``--name=value`` or ``--name``, in order; ``hetjob`` between two components."""
    first, *others = nodes.components or (nodes.total,)
    out: list[tuple[str, ...]] = [_written(_component(recipe, engine, first))]
    for size in others:
        items = _component(recipe, engine, size)
        out.append((COMPONENT, *_written({k: v for k, v in items.items() if k not in SCRIPT})))
    return tuple(d for block in out for d in block)


def exported(directives: Iterable[str]) -> tuple[str, ...]:
    """Which of the submitter's variables the job gets: ``ALL``, ``NONE``, names; not the values that stand there."""
    value = _value(directives, "--export")
    names = tuple(w.partition("=")[0].strip() for w in value.split(","))
    known = tuple(n.upper() if n.upper() in KEYWORDS else n for n in names if VARIABLE.fullmatch(n))
    return known or ("ALL",)


def time_limit_s(directives: Iterable[str]) -> int:
    """Seconds of ``--time``; 0 if there is none."""
    return seconds(_value(directives, "--time"))


def warning_s(directives: Iterable[str]) -> int:
    """Seconds before the time limit at which Slurm sends USR1 to the script; 0 if it sends none."""
    match = re.fullmatch(r"B:USR1@(\d+)", _value(directives, "--signal"))
    return int(match[1]) if match else 0


def _value(directives: Iterable[str], option: str) -> str:
    return next((v for o, _, v in (d.partition("=") for d in directives) if o == option), "")


def _written(items: dict[str, str | None]) -> tuple[str, ...]:
    return tuple(f"--{k}" if v is None else f"--{k}={v}" for k, v in items.items())


def _component(recipe: Recipe, engine: Engine[object], size: int) -> dict[str, str | None]:
    site, gpn = recipe.site, recipe.resources.gpus_per_node
    per_node = gpn if engine.launch == "endpoint" else 1
    items: dict[str, str | None] = {
        "job-name": recipe.name,
        "nodes": str(size),
        "ntasks": str(per_node * size),
        "ntasks-per-node": str(per_node),
    }
    items |= {"gpus-per-node": str(gpn)} if site.gpus_per_node_directive else {}
    items |= {"segment": str(size)} if site.segment_directive else {}
    items |= {"exclusive": None} if site.exclusive_directive else {}
    items |= {"account": recipe.slurm.account} if recipe.slurm.account else {}
    items |= {"time": recipe.slurm.time_limit, "output": LOG, "open-mode": "append"}
    items |= {"partition": recipe.slurm.partition} if recipe.slurm.partition else {}
    items |= {"no-requeue": None, "signal": f"B:USR1@{WARNING_S}"}
    for key, value in recipe.sbatch_directives:
        items.pop(CONTRARY.get(key, key), None)
        items[key] = value or None
    return items
