"""The ``services`` of a ``schema: 2`` recipe: where NATS and etcd run.

In: the entries, as mappings of the tree. Out: an ``Infra``. Any other service is an error (SP131)::

    [{name: etcd, type: etcd, placement: {node: dedicated}}, {name: nats, type: nats, placement: {node: dedicated}}]
      ->  Infra(dedicated_node=True)
"""

from __future__ import annotations

from srtplan.config.layouts.draft import REMEDY, Draft
from srtplan.config.layouts.v2_sections import Service2
from srtplan.config.typed.structure import structure
from srtplan.config.yaml.tree import Mapping, Scalar
from srtplan.diagnostics import Path
from srtplan.ir.recipe import Infra

KNOWN = ("etcd", "nats")
KEYS = ("name", "type", "enabled", "placement", "options")
NODES = ("head", "infra", "dedicated")


def lower(entries: tuple[Mapping, ...], draft: Draft) -> Infra | None:
    """Return where NATS and etcd run; None and findings if the entries are invalid."""
    before = len(draft.findings)
    found: dict[str, tuple[int, Service2]] = {}
    for n, entry in enumerate(entries):
        service = _service(entry, ("services", n), draft)
        if service and service.type in found:
            message = f"duplicate service of type '{service.type}'"
            draft.error("SP131", ("services", n), message, hint="keep one of them")
        elif service:
            found[service.type] = (n, service)
    _check_placement(found, draft)
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
        message = f"srtplan does not support services of type '{kind}'"
        hint = f"supported types: {', '.join(KNOWN)}; {REMEDY}"
        draft.error("SP131", (*path, "type"), message, hint=hint)
        return None
    for key in [k for k in entry if k not in KEYS]:
        message = f"srtplan does not support '{key}' of a service"
        draft.error("SP131", (*path, key), message, hint=REMEDY, on_key=True)
    service = structure(entry.without(*(k for k in entry if k not in KEYS)), Service2, path, draft.findings)
    if service:
        _check_service(service, path, draft)
    return service


def _check_service(service: Service2, path: Path, draft: Draft) -> None:
    """Report settings of a service that srtplan does not support."""
    if not service.enabled:
        message = f"{service.type} cannot be disabled: srtplan starts it if the frontend needs it"
        draft.error("SP131", (*path, "enabled"), message, hint="remove `enabled: false`")
    if service.placement.node not in NODES:
        message = f"srtplan cannot place {service.type} on '{service.placement.node}'"
        hint = f"write one of: {', '.join(NODES)}"
        draft.error("SP131", (*path, "placement", "node"), message, hint=hint)
    if service.type == "etcd" and service.options.max_payload_mb is not None:
        message = "'max_payload_mb' is an option of nats, not of etcd"
        hint = "move it to the service of type nats"
        draft.error("SP131", (*path, "options", "max_payload_mb"), message, hint=hint)


def _check_placement(found: dict[str, tuple[int, Service2]], draft: Draft) -> None:
    """Report a dedicated node for only one of the two: the Recipe has a single switch for both."""
    dedicated = [(n, s) for n, s in found.values() if s.placement.node == "dedicated"]
    if len(dedicated) == 1:
        ((n, service),) = dedicated
        other = "nats" if service.type == "etcd" else "etcd"
        message = f"{service.type} is on a dedicated node, but {other} is not"
        hint = f"add {{name: {other}, type: {other}, placement: {{node: dedicated}}}} to `services:`"
        draft.error("SP131", ("services", n, "placement", "node"), message, hint=hint)
