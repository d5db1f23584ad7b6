"""What a bundle is going to run, in a page for someone who sees it for the first time.

In: plan.json as a dict. Out: lines: the model, the nodes with their GPUs and steps, the ports, the URL.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from srtplan.rehearsal.slurm.hostlist import compress

Plan = Mapping[str, Any]
"""plan.json: JSON of several types, described in the architecture document."""

STAGES = ("preflight", "infra", "worker", "frontend", "benchmark")
MAX_PORTS = 6


def header(plan: Plan, addresses: Sequence[str]) -> list[str]:
    """Return the lines of the header; ``addresses`` are those of the simulated nodes, in order."""
    lines = [f"Rehearsal of {plan.get('name', '?')}: {_what(plan)}"]
    lines.append(f"{len(addresses)} simulated nodes; nothing here loads a model or needs a GPU.")
    lines.append("")
    for index, address in enumerate(addresses):
        lines += _node(plan, index, address)
    url = endpoint(plan, addresses)
    if url:
        lines += ["", f"Endpoint  {url}"]
    if not any(step.get("terminal") for step in plan.get("steps", ())):
        lines += ["", "It serves until Ctrl-C."]
    return lines


def _what(plan: Plan) -> str:
    model, engine, frontend = (
        plan.get("served_model_name", "?"),
        plan.get("engine", "?"),
        plan.get("frontend", "?"),
    )
    return f"{model} on {_name(engine)} behind {_name(frontend)}"


def _name(value: object) -> str:
    return str(value.get("type", value)) if isinstance(value, Mapping) else str(value)


def _node(plan: Plan, index: int, address: str) -> list[str]:
    """Return a line for a node and one for each step on it."""
    gpus = sorted(
        {
            gpu
            for process in plan.get("processes", ())
            if process.get("node") == index
            for gpu in process.get("gpus", ())
        }
    )
    shown = f"GPUs {compress(list(map(str, gpus))).strip('[]')}" if gpus else "no GPU used"
    lines = [f"  node{index:<3} {address:<12} {shown}"]
    for step in plan.get("steps", ()):
        if index in step.get("nodes", ()) and step.get("stage") in STAGES:
            ports = ports_of(plan, step, index)
            extra = f"  ports {', '.join(ports[:MAX_PORTS])}" if ports else ""
            lines.append(f"          {step['name']:<20}{extra}".rstrip())
    return lines


def ports_of(plan: Plan, step: Mapping[str, Any], node: int) -> list[str]:
    """Return the ports that a step has on a node, as ``name PORT``: those of its processes, else those probed."""
    found = [
        f"{name} {port}"
        for process in plan.get("processes", ())
        if process.get("node") == node and _is_of(process, step)
        for name, port in process.get("ports", {}).items()
        if port
    ]
    probed = [p for p in plan.get("probes", ()) if p.get("step") == step["name"] and p.get("node") == node]
    return list(dict.fromkeys(found or [str(p["port"]) for p in probed if p.get("port")]))


def listening(plan: Plan, name: str, node: int) -> list[int]:
    """Return the ports that a step opens on a node: those that the preflight wants free, else ``ports_of``."""
    wanted = [
        int(check["subject"])
        for check in plan.get("preflight", ())
        if (check["kind"], check["why"]) == ("port", name) and node in check["nodes"]
    ]
    step = next((step for step in plan.get("steps", ()) if step["name"] == name), {"name": name})
    return wanted or [int(text.rpartition(" ")[2]) for text in ports_of(plan, step, node)]


def _is_of(process: Mapping[str, Any], step: Mapping[str, Any]) -> bool:
    """Tell whether a process belongs to a worker step; a step without a rank has all ranks of its endpoint."""
    if step.get("mode") is None or step.get("endpoint") is None:
        return False
    same = process.get("mode") == step["mode"] and process.get("endpoint") == step["endpoint"]
    return same and step.get("rank") in {None, process.get("rank")}


def endpoint(plan: Plan, addresses: Sequence[str]) -> str:
    """Return the URL at which the job serves, with the address of a simulated node in it."""
    return resolved(str(plan.get("url", "")), addresses)


def resolved(text: str, addresses: Sequence[str]) -> str:
    """Return a word of the Plan with the addresses of the simulated nodes in it."""
    return re.sub(r"\$\{(?:IP|NODE)\[(\d+)\]\}", lambda match: addresses[int(match.group(1))], text)
