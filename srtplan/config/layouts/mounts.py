"""The syntax of mounts in a recipe or profile.

In: ``"$DATA/x:/data:ro"`` of ``extra_mount``, or a pair of ``container_mounts`` and ``default_mounts``. Out: a
``MountRequest``, or findings. Placeholders such as ``{log_dir}`` are checked here and filled in by the plan::

    MountRequest(source="/lustre/x", target="/data", flags="ro", origin="recipe")
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from srtplan.config.layouts.environment import expand
from srtplan.config.typed.structure import did_you_mean
from srtplan.diagnostics import Finding, Path
from srtplan.ir.recipe import MountRequest

PLACEHOLDERS = (
    "job_id",
    "run_name",
    "head_node_ip",
    "log_dir",
    "model_path",
    "container_image",
    "gpus_per_node",
)
"""Placeholders of ``container_mounts``, the same as in srtctl."""
FLAGS = re.compile(r"[A-Za-z0-9_,+=-]+")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_FORBIDDEN = re.compile(r"[,:\x00-\x1f\x7f]")


def from_text(
    text: str, environ: Mapping[str, str], path: Path, findings: list[Finding]
) -> MountRequest | None:
    """Parse an entry of ``extra_mount``: ``host:container`` or ``host:container:flags``."""
    parts = text.split(":", 2)
    if len(parts) < 2:  # noqa: PLR2004 -- host and container
        message = f"'{text}' is not a mount: it has no ':'"
        hint = "write /host/path:/container/path or /host/path:/container/path:FLAGS"
        findings.append(Finding(rule="SP210", path=path, message=message, help=hint))
        return None
    source, target, flags = (*parts, "")[:3]
    return make(source, target, flags, "recipe", environ, path, findings)


def make(
    source: str,
    target: str,
    flags: str,
    origin: str,
    environ: Mapping[str, str],
    path: Path,
    findings: list[Finding],
) -> MountRequest | None:
    """Check the parts of a mount and return it; None and findings if a part is invalid."""
    before = len(findings)
    source = expand(source, environ, path, findings)
    target = expand(target, environ, path, findings)
    if len(findings) == before:
        for message, hint in _invalid_parts(source, target, flags):
            findings.append(Finding(rule="SP210", path=path, message=message, help=hint))
        _placeholders(source + target, path, findings)
    if len(findings) > before:
        return None
    return MountRequest(source=source, target=target, origin=origin, flags=flags, at=path)


def _invalid_parts(source: str, target: str, flags: str) -> list[tuple[str, str]]:
    """Return a message and a hint for each invalid part of a mount."""
    errors = []
    for side, value in (("host", source), ("container", target)):
        if found := _FORBIDDEN.search(value):
            message = f"the {side} path of a mount cannot contain {found.group()!r}: {value!r}"
            errors.append((message, "use a path without ',' and ':', or mount the folder above it"))
        elif not value.startswith(("/", "{")):
            hint = f"write /{value}" if value else "write /host/path:/container/path"
            errors.append((f"the {side} path of a mount must be absolute, not '{value}'", hint))
        elif ".." in value.split("/"):
            message = f"the {side} path of a mount cannot contain '..': '{value}'"
            errors.append((message, "write the path without '..'"))
    if flags and not FLAGS.fullmatch(flags):
        hint = "write flags separated by commas, such as ro or x-create=dir"
        errors.append((f"'{flags}' is not a list of mount flags", hint))
    return errors


def _placeholders(text: str, path: Path, findings: list[Finding]) -> None:
    for name in _PLACEHOLDER.findall(text):
        if name not in PLACEHOLDERS:
            message = f"unknown placeholder '{{{name}}}' in a mount"
            findings.append(
                Finding(rule="SP211", path=path, message=message, help=did_you_mean(name, PLACEHOLDERS))
            )
