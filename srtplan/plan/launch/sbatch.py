"""The ``#SBATCH`` directives of recipe and profile, in a fixed order, with the recipe's ``sbatch_directives`` last.

srtplan adds ``--no-requeue`` (a requeued job would restart with part of its time limit used), ``--open-mode=append``, and
a signal before the time limit, so that the job can stop gracefully. A directive of the recipe replaces one of that name.

A heterogeneous job has a second block after ``hetjob``. Options of nodes and queue are in both blocks, options of the
batch script only in the first.
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
"""Words in ``--export`` that are not names of variables; sbatch ignores their case."""
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
COMPONENT = "hetjob"
"""Separates the directives of two components."""
SCRIPT = frozenset((
    "job-name", "output", "open-mode", "no-requeue", "requeue", "signal", "begin", "chdir", "comment", "dependency",
    "export", "export-file", "get-user-env", "hold", "mail-type", "mail-user", "nice", "priority", "wait", "wckey",
))  # fmt: skip
"""Options of the batch script or of the job as a whole."""


def directives(recipe: Recipe, engine: Engine[object], nodes: Nodes) -> tuple[str, ...]:
    """The directives in order, as ``--name=value`` or ``--name``, with ``hetjob`` between two components."""
    first, *others = nodes.components or (nodes.total,)
    out: list[tuple[str, ...]] = [_written(_component(recipe, engine, first))]
    for size in others:
        items = _component(recipe, engine, size)
        out.append((COMPONENT, *_written({k: v for k, v in items.items() if k not in SCRIPT})))
    return tuple(d for block in out for d in block)


def exported_variables(directives: Iterable[str]) -> tuple[str, ...]:
    """The words of ``--export``: ``ALL``, ``NONE``, or names of variables without their values."""
    value = _value(directives, "--export")
    names = tuple(w.partition("=")[0].strip() for w in value.split(","))
    known = tuple(n.upper() if n.upper() in KEYWORDS else n for n in names if VARIABLE.fullmatch(n))
    return known or ("ALL",)


def time_limit_s(directives: Iterable[str]) -> int:
    """The value of ``--time`` in seconds; 0 if it is not set."""
    return seconds(_value(directives, "--time"))


def warning_s(directives: Iterable[str]) -> int:
    """How many seconds before the time limit Slurm sends USR1 to the script; 0 if it sends none."""
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
