"""The ``services`` of a ``schema: 2`` recipe, as far as the Recipe can say them: where NATS and etcd run.

In: the entries, as mappings of the tree. Out: an ``Infra``; any other service is refused with SP131::

    [{name: etcd, type: etcd, placement: {node: dedicated}}, {name: nats, type: nats, placement: {node: dedicated}}]
      ->  Infra(dedicated_node=True)
"""

from __future__ import annotations

from srtplan.config.layouts.draft import Draft
from srtplan.config.layouts.v2_sections import Service2
from srtplan.config.typed.structure import structure
from srtplan.config.yaml.tree import Mapping, Scalar
from srtplan.diagnostics import Path
from srtplan.ir.recipe import Infra

KNOWN = ("etcd", "nats")
SAYS = ("name", "type", "enabled", "placement", "options")
NODES = ("head", "infra", "dedicated")


def lower(entries: tuple[Mapping, ...], draft: Draft) -> Infra | None:
    """Where NATS and etcd run; None and findings where that cannot be said."""
    before = len(draft.findings)
    found: dict[str, tuple[int, Service2]] = {}
    for n, entry in enumerate(entries):
        service = _service(entry, ("services", n), draft)
        if service and service.type in found:
            draft.error("SP131", ("services", n), f"a second service of type {service.type}")
        elif service:
            found[service.type] = (n, service)
    _together(found, draft)
    if len(draft.findings) > before:
        return None
    nats = found.get("nats")
    return Infra(
        dedicated_node=any(s.placement.node == "dedicated" for _, s in found.values()),
        nats_max_payload_mb=nats[1].options.max_payload_mb if nats else None,
    )


def _service(entry: Mapping, path: Path, draft: Draft) -> Service2 | None:
    node = entry.get("type")
    kind = node.value if isinstance(node, Scalar) else None
    if isinstance(kind, str) and kind not in KNOWN:
        message = f"srtplan does not support services of type '{kind}' yet"
        draft.error("SP131", (*path, "type"), message, hint=f"supported: {', '.join(KNOWN)}")
        return None
    for key in [k for k in entry if k not in SAYS]:
        draft.error("SP131", (*path, key), f"srtplan does not support '{key}' of a service yet", on_key=True)
    service = structure(entry.without(*(k for k in entry if k not in SAYS)), Service2, path, draft.findings)
    if service and not service.enabled:
        message = "srtplan starts NATS and etcd where the frontend needs them; it cannot switch them off"
        draft.error("SP131", (*path, "enabled"), message)
    if service and service.placement.node not in NODES:
        message = f"srtplan cannot place {service.type} on '{service.placement.node}' yet"
        draft.error("SP131", (*path, "placement", "node"), message, hint=f"one of {', '.join(NODES)}")
    if service and service.type == "etcd" and service.options.max_payload_mb is not None:
        draft.error("SP131", (*path, "options", "max_payload_mb"), "max_payload_mb is an option of nats")
    return service


def _together(found: dict[str, tuple[int, Service2]], draft: Draft) -> None:
    """Both on a node of their own, or none: the Recipe has one switch for the two."""
    dedicated = [(n, s) for n, s in found.values() if s.placement.node == "dedicated"]
    if len(dedicated) == 1:
        ((n, service),) = dedicated
        other = "nats" if service.type == "etcd" else "etcd"
        message = f"{service.type} on a dedicated node needs {other} there, too"
        hint = f"add {{name: {other}, type: {other}, placement: {{node: dedicated}}}}"
        draft.error("SP131", ("services", n, "placement", "node"), message, hint=hint)
