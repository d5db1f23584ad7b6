"""Paths of models, images and files: SP213, SP214, SP215. Whether they exist is checked on the nodes, by the preflight."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast

import attrs

from srtplan import plugin
from srtplan.config.layouts.draft import Context, Draft
from srtplan.config.rules.names import CONTROL
from srtplan.config.typed.structure import did_you_mean
from srtplan.diagnostics import Finding, Path

_HUB = re.compile(r"hf:[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_UNFIT = re.compile(r"[,:\x00-\x1f\x7f]")
_UNFIT_IMAGE = re.compile(r"[\x00-\x20\x7f]")
_FILES = ("_path", "_file", "_package", "tokenizer", "hf_home")
_IMAGES = ("container", "container_image")
_LITERALS = {
    "model_paths": "an absolute path or hf:<org>/<name>",
    "containers": "an absolute path or an image with a tag",
}
_VARIABLE = re.compile(r"\$\{?[A-Za-z_]")


def model(draft: Draft) -> Iterator[Finding]:
    """SP213: the model is an absolute path or a Hugging Face id. Any other word is an unknown alias."""
    if draft.model is None:
        return
    path, value = ("model", "path"), draft.model.path
    if value.startswith("hf:"):
        if not _HUB.fullmatch(value):
            message = f"'{value}' is not a Hugging Face model id"
            yield Finding(rule="SP213", path=path, message=message, help="write hf:<org>/<name>")
    elif not _VARIABLE.match(value):
        yield from _directory(value, path, "model_paths", draft.context.models, draft.context)
    stage = draft.model.stage_dir
    if stage is not None and not _VARIABLE.match(stage):
        yield from _directory(stage, ("model", "stage_dir"), "", (), draft.context)


def images(draft: Draft) -> Iterator[Finding]:
    """SP214: an image is an absolute path or an image reference with a tag or a registry."""
    if draft.model is not None:
        yield from _image(draft.model.container, ("model", "container"), draft.context)
    if draft.frontend is not None:
        path = (*draft.frontend.at, "nginx_container")
        yield from _image(draft.frontend.nginx_container, path, draft.context)
    for role in draft.resources.roles if draft.resources else ():
        if role.container is not None:
            yield from _image(role.container, (*role.at, "container"), draft.context)


def files(draft: Draft) -> Iterator[Finding]:
    """SP214, SP215: images and files of engine, frontend and benchmark. Each is a line of the preflight's table."""
    for part in (draft.engine, draft.frontend, draft.benchmark):
        if part is not None and part.options is not None:
            yield from _files(part.options, part.at)


def _files(options: object, at: Path) -> Iterator[Finding]:
    for name, value in _values(options):
        path = (*at, name)
        if not isinstance(value, str):
            yield from _files(value, path) if attrs.has(type(value)) else ()
            continue
        if not name.endswith((*_FILES, *_IMAGES)):
            continue
        rule = "SP214" if name in _IMAGES else "SP215"
        unfit = _UNFIT if rule == "SP215" and value.startswith("/") else CONTROL
        if found := unfit.search(value):
            message = f"{'.'.join(map(str, path))} cannot contain {found.group()!r}"
            yield Finding(
                rule=rule, path=path, message=message, help="rename the file, or remove the character"
            )


def _values(options: object) -> Iterator[tuple[str, object]]:
    """Yield the names and values of an attrs object."""
    for field in attrs.fields(cast("type[attrs.AttrsInstance]", type(options))):
        yield field.name, getattr(options, field.name)


def _directory(
    value: str, path: Path, section: str, aliases: tuple[str, ...], context: Context
) -> Iterator[Finding]:
    shown = ".".join(map(str, path))
    if not value.startswith("/"):
        is_not = f"neither an absolute path nor an alias in {section}" if section else "not an absolute path"
        message = f"{shown} '{value}' is {is_not}"
        hint = did_you_mean(value, aliases) or _no_alias(section, context)
        yield Finding(rule="SP213", path=path, message=message, help=hint)
    elif found := _UNFIT.search(value):
        message = f"{shown} cannot contain {found.group()!r}"
        yield Finding(rule="SP213", path=path, message=message, help="use a path without ',' and ':'")


def _image(value: str, path: Path, context: Context) -> Iterator[Finding]:
    shown = ".".join(map(str, path))
    if found := CONTROL.search(value):
        message = f"{shown} cannot contain {found.group()!r}"
        yield Finding(rule="SP214", path=path, message=message, help="remove the character")
        return
    if value.startswith("/") or not plugin.runtime(context.runtime).maps_paths or _VARIABLE.match(value):
        return
    relative = value.startswith(".") or value.endswith((".sqsh", ".sif"))
    if found := _UNFIT_IMAGE.search(value):
        message = f"{shown} cannot contain {found.group()!r}"
        yield Finding(rule="SP214", path=path, message=message, help="remove the character")
    elif relative or not re.search(r"[:/#@]", value):
        message = f"{shown} '{value}' is not an absolute path, an image with a tag, or an alias in containers"
        hint = did_you_mean(value, context.containers) or _no_alias("containers", context)
        yield Finding(rule="SP214", path=path, message=message, help=hint)


def _no_alias(section: str, context: Context) -> str:
    if not section:
        return "write an absolute path"
    if not context.has_profile:
        return f"no cluster profile found: select one with --cluster, or write {_LITERALS[section]}"
    return f"add it under `{section}:` in the cluster profile, or write {_LITERALS[section]}"
