"""Choose a sample of the public recipes with every engine, frontend, placement and benchmark.

In: the plans of the whole corpus. Out: the names of a few small jobs that together have all traits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from srtplan.ir.plan import Plan


def traits(plan: Plan) -> frozenset[str]:
    """The traits of a job: engine with frontend, shape of the workers, reserved nodes, benchmark."""
    n = plan.nodes
    modes = "agg" if any(e.mode == "agg" for e in plan.endpoints) else "pd"
    found = {
        f"{plan.engine} behind {plan.frontend} {modes}",
        f"{plan.engine} nginx={any(s.name == 'nginx' for s in plan.steps)}",
        f"benchmark {plan.benchmark.type} with {plan.engine}",
    }
    for e in plan.endpoints:
        found.add(f"{plan.engine} on {'several nodes' if len(e.nodes) > 1 else 'one node'}")
    found |= {"infra apart"} if n.infra not in n.workers else set()
    found |= {"client apart"} if n.bench != n.head else set()
    by_node = {(e.mode, node) for e in plan.endpoints for node in e.nodes}
    if len({node for _, node in by_node}) < len(by_node):
        found.add("prefill and decode on one node")
    shared = [node for e in plan.endpoints for node in e.nodes]
    return frozenset(found | ({"workers share a node"} if len(set(shared)) < len(shared) else set()))


def cover(plans: Mapping[str, Plan]) -> list[str]:
    """Names of a few small jobs that together have all traits; always the same for the same plans."""
    by_name = {name: traits(p) for name, p in plans.items()}
    missing = set().union(*by_name.values())
    chosen: list[str] = []
    while missing:
        best = min(by_name, key=lambda name: (*_price(plans[name], by_name[name] & missing), name))
        missing -= by_name[best]
        chosen.append(best)
    return chosen


def _price(plan: Plan, new: Iterable[str]) -> tuple[float, int]:
    count = len(list(new))
    return (len(plan.steps) / count if count else float("inf"), len(plan.steps))
