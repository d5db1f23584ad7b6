"""Ranges and contradictions inside single sections: SP226 to SP234."""

from __future__ import annotations

import re
from collections.abc import Iterator

from srtplan.config.layouts.draft import Draft
from srtplan.diagnostics import Finding, Path
from srtplan.ir.recipe import Dynamo

_COMMIT = re.compile(r"[0-9a-f]{7,40}")
_VERSION = re.compile(r"[0-9][0-9A-Za-z.!+_-]*")
_PATCH = re.compile(r"[A-Za-z0-9_-]+[ \t]*=[ \t]*[^ \t].*")
_TIMEOUT = re.compile(r"[0-9]+(ms|s|m|h|d)?( [0-9]+(ms|s|m|h|d)?)?")
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")

A_YEAR_S = 366 * 24 * 3600


def unused_roles(draft: Draft) -> Iterator[Finding]:
    """SP226: settings of a role that has no workers."""
    if draft.resources is None:
        return
    present = {r.mode for r in draft.resources.roles}
    for role in draft.idle_roles:
        settings = (
            (role.args_at, role.args),
            (role.env_at, role.env),
            (role.extra_args_at, role.extra_args),
            (role.kv_events_at, role.kv_events is not None),
        )
        for path in [path for path, value in settings if value and role.mode not in present]:
            message = f"'{path[-1]}' has no effect: there are no {role.mode} workers"
            if path[-1] == "kv_events_config":
                message = (
                    "'kv_events_config: true' has no effect: it applies only to prefill and decode workers"
                )
            hint = "remove it, or move it to a role that has workers"
            yield Finding(
                rule="SP226", path=path, on_key=True, severity="warning", message=message, help=hint
            )


def health_check(draft: Draft) -> Iterator[Finding]:
    """SP230: at least one attempt, an interval of at least one second, and at most a year in total."""
    if draft.health_check is not None:
        values = (
            ("max_attempts", draft.health_check.max_attempts),
            ("interval_seconds", draft.health_check.interval_seconds),
        )
        for name, value in values:
            yield from _positive("SP230", ("health_check", name), value)
        if values[0][1] * values[1][1] > A_YEAR_S:
            message = "max_attempts x interval_seconds is more than a year"
            path = ("health_check", "max_attempts")
            yield Finding(rule="SP230", path=path, message=message, help="reduce one of them")


def dynamo(draft: Draft) -> Iterator[Finding]:
    """SP231: at most one source, and a valid one."""
    d = draft.dynamo
    if d is None:
        return
    sources = [("hash", d.hash), ("top_of_tree", d.top_of_tree), ("wheel", d.wheel)]
    chosen = [name for name, value in sources if value]
    if len(chosen) > 1:
        message = f"dynamo has more than one source: {', '.join(chosen)}"
        yield Finding(rule="SP231", path=("dynamo", chosen[1]), message=message, help="keep one of them")
    yield from _dynamo_words(d)
    if d.cargo_patches and not d.hash:
        message = "'cargo_patches' requires a build from a git commit"
        hint = "set `dynamo.hash`, or remove the patches"
        yield Finding(rule="SP231", path=("dynamo", "cargo_patches"), message=message, help=hint)
    for index, patch in enumerate(d.cargo_patches if d.hash else ()):
        if not _PATCH.fullmatch(patch):
            message = f"'{patch}' is not a patch of a dependency"
            hint = 'write a line of Cargo.toml, such as: CRATE = { git = "URL", branch = "NAME" }'
            yield Finding(rule="SP231", path=("dynamo", "cargo_patches", index), message=message, help=hint)


def _dynamo_words(d: Dynamo) -> Iterator[Finding]:
    words = (
        ("hash", d.hash, _COMMIT, "a git commit", "write 7 to 40 hexadecimal digits"),
        ("version", d.version, _VERSION, "a version", "write a version such as 0.8.0"),
        ("wheel", d.wheel, _VERSION, "a version", "write a version such as 1.2.0.dev20260426"),
    )
    for name, value, pattern, kind, hint in words:
        if value is not None and not pattern.fullmatch(value):
            yield Finding(rule="SP231", path=("dynamo", name), message=f"'{value}' is not {kind}", help=hint)


def infra(draft: Draft) -> Iterator[Finding]:
    """SP233: the largest NATS message is at least one MiB."""
    if draft.infra is not None and draft.infra.nats_max_payload_mb is not None:
        yield from _positive("SP233", ("infra", "nats_max_payload_mb"), draft.infra.nats_max_payload_mb)


def frontend(draft: Draft) -> Iterator[Finding]:
    """SP234: counts, and words of nginx's configuration."""
    f = draft.frontend
    if f is None:
        return
    if f.additional < 0:
        message = f"num_additional_frontends must be 0 or more, not {f.additional}"
        yield Finding(rule="SP234", path=(*f.at, "num_additional_frontends"), message=message)
    if not _TIMEOUT.fullmatch(f.nginx_keepalive_timeout):
        message = f"{f.nginx_keepalive_timeout!r} is not an nginx time"
        path = (*f.at, "nginx_keepalive_timeout")
        yield Finding(rule="SP234", path=path, message=message, help="write a time such as 600s or 10m")
    if not _HEADER.fullmatch(f.nginx_session_affinity_header):
        message = f"{f.nginx_session_affinity_header!r} is not an HTTP header name"
        path = (*f.at, "nginx_session_affinity_header")
        yield Finding(rule="SP234", path=path, message=message, help="use letters, digits and '-'")


def _positive(rule: str, path: Path, value: int) -> Iterator[Finding]:
    if value <= 0:
        yield Finding(rule=rule, path=path, message=f"{path[-1]} must be at least 1, not {value}")
