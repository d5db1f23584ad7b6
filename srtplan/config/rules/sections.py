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
    """SP226: options, environment or events of a role that has no workers."""
    if draft.resources is None:
        return
    present = {r.mode for r in draft.resources.roles}
    for role in draft.idle_roles:
        given = (
            (role.args_at, role.args),
            (role.env_at, role.env),
            (role.extra_args_at, role.extra_args),
            (role.kv_events_at, role.kv_events is not None),
        )
        for path in [path for path, value in given if value and role.mode not in present]:
            message = f"'{path[-1]}' has no effect: there are no {role.mode} workers"
            if path[-1] == "kv_events_config":
                message = "'kv_events_config: true' has no effect: it means prefill and decode workers"
            yield Finding(rule="SP226", path=path, on_key=True, severity="warning", message=message)


def health_check(draft: Draft) -> Iterator[Finding]:
    """SP230: at least one attempt, at least one second, and an end."""
    if draft.health_check is not None:
        values = (
            ("max_attempts", draft.health_check.max_attempts),
            ("interval_seconds", draft.health_check.interval_seconds),
        )
        for name, value in values:
            yield from _positive("SP230", ("health_check", name), value)
        if values[0][1] * values[1][1] > A_YEAR_S:
            message = "max_attempts * interval_seconds is more than a year"
            yield Finding(rule="SP230", path=("health_check", "max_attempts"), message=message)


def dynamo(draft: Draft) -> Iterator[Finding]:
    """SP231: one source, and one that can be fetched."""
    d = draft.dynamo
    if d is None:
        return
    sources = [("hash", d.hash), ("top_of_tree", d.top_of_tree), ("wheel", d.wheel)]
    given = [name for name, value in sources if value]
    if len(given) > 1:
        message = f"dynamo has more than one source: {', '.join(given)}"
        yield Finding(rule="SP231", path=("dynamo", given[1]), message=message, help="keep one of them")
    yield from _dynamo_words(d)
    if d.cargo_patches and not d.hash:
        message = "cargo_patches need a source build of a commit"
        yield Finding(rule="SP231", path=("dynamo", "cargo_patches"), message=message, help="set dynamo.hash")
    for index, patch in enumerate(d.cargo_patches if d.hash else ()):
        if not _PATCH.fullmatch(patch):
            message = f"'{patch}' does not replace a dependency"
            hint = 'write a line of a Cargo.toml: \'CRATE = { git = "URL", branch = "NAME" }\''
            yield Finding(rule="SP231", path=("dynamo", "cargo_patches", index), message=message, help=hint)


def _dynamo_words(d: Dynamo) -> Iterator[Finding]:
    words = (
        ("hash", d.hash, _COMMIT, "a git commit: 7 to 40 digits 0-9a-f"),
        ("version", d.version, _VERSION, "a version such as 0.8.0"),
        ("wheel", d.wheel, _VERSION, "a version such as 1.2.0.dev20260426"),
    )
    for name, value, pattern, wanted in words:
        if value is not None and not pattern.fullmatch(value):
            yield Finding(rule="SP231", path=("dynamo", name), message=f"'{value}' is not {wanted}")


def infra(draft: Draft) -> Iterator[Finding]:
    """SP233: NATS takes messages of at least one MiB."""
    if draft.infra is not None and draft.infra.nats_max_payload_mb is not None:
        yield from _positive("SP233", ("infra", "nats_max_payload_mb"), draft.infra.nats_max_payload_mb)


def frontend(draft: Draft) -> Iterator[Finding]:
    """SP234: counts, and words that become part of nginx's configuration."""
    f = draft.frontend
    if f is None:
        return
    if f.additional < 0:
        message = f"num_additional_frontends cannot be negative: {f.additional}"
        yield Finding(rule="SP234", path=(*f.at, "num_additional_frontends"), message=message)
    words = (
        ("nginx_keepalive_timeout", f.nginx_keepalive_timeout, _TIMEOUT, "a time of nginx, such as 600s"),
        ("nginx_session_affinity_header", f.nginx_session_affinity_header, _HEADER, "the name of a header"),
    )
    for name, value, pattern, wanted in words:
        if not pattern.fullmatch(value):
            yield Finding(rule="SP234", path=(*f.at, name), message=f"{value!r} is not {wanted}")


def _positive(rule: str, path: Path, value: int) -> Iterator[Finding]:
    if value <= 0:
        yield Finding(rule=rule, path=path, message=f"{path[-1]} must be positive, not {value}")
