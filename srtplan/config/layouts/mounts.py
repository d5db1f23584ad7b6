"""Mounts that a recipe or profile asks for: their syntax.

In: ``"$DATA/x:/data:ro"`` of ``extra_mount``, or a pair of ``container_mounts`` and ``default_mounts``. Out: a
``MountRequest``, or findings. Placeholders such as ``{log_dir}`` are checked here and replaced by the plan::

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
"""Known in ``container_mounts``, as in srtctl."""
FLAGS = re.compile(r"[A-Za-z0-9_,+=-]+")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_FORBIDDEN = re.compile(r"[,:\x00-\x1f\x7f]")


def from_text(
    text: str, environ: Mapping[str, str], path: Path, findings: list[Finding]
) -> MountRequest | None:
    """One entry of ``extra_mount``: ``host:container`` or ``host:container:flags``."""
    parts = text.split(":", 2)
    if len(parts) < 2:  # noqa: PLR2004 -- host and container
        message = f"'{text}' is not a mount: it has no ':'"
        findings.append(
            Finding(rule="SP210", path=path, message=message, help="write host:container[:flags]")
        )
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
    """A mount whose parts are checked; None and findings if one is wrong."""
    before = len(findings)
    source = expand(source, environ, path, findings)
    target = expand(target, environ, path, findings)
    if len(findings) == before:
        for message, hint in _faults(source, target, flags):
            findings.append(Finding(rule="SP210", path=path, message=message, help=hint))
        _placeholders(source + target, path, findings)
    if len(findings) > before:
        return None
    return MountRequest(source=source, target=target, origin=origin, flags=flags, at=path)


def _faults(source: str, target: str, flags: str) -> list[tuple[str, str]]:
    faults = []
    for side, value in (("host", source), ("container", target)):
        if found := _FORBIDDEN.search(value):
            faults.append((f"the {side} side of a mount cannot contain {found.group()!r}: {value!r}", ""))
        elif not value.startswith(("/", "{")):
            hint = "write an absolute path" if value else "write host:container"
            faults.append((f"the {side} side of a mount must be an absolute path, not '{value}'", hint))
        elif ".." in value.split("/"):
            faults.append((f"the {side} side of a mount cannot contain '..': '{value}'", ""))
    if flags and not FLAGS.fullmatch(flags):
        faults.append((f"'{flags}' is not a list of mount flags", "for example ro, or x-create=dir"))
    return faults


def _placeholders(text: str, path: Path, findings: list[Finding]) -> None:
    for name in _PLACEHOLDER.findall(text):
        if name not in PLACEHOLDERS:
            message = f"unknown placeholder '{{{name}}}' in a mount"
            findings.append(
                Finding(rule="SP211", path=path, message=message, help=did_you_mean(name, PLACEHOLDERS))
            )
