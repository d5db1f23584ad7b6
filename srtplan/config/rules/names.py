"""Names that end up as words of a shell, of Slurm, or of a file system: SP201, SP202, SP204."""

from __future__ import annotations

import re
from collections.abc import Iterator

from srtplan.config.draft import Draft
from srtplan.diagnostics import Finding, Path
from srtplan.ir.recipe import Pairs

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
MAX_NAME = 200


def job_name(draft: Draft) -> Iterator[Finding]:
    """SP201: the job's name is a line of the sbatch script and a folder's name."""
    name = draft.name
    if name is None:
        return
    if not name.strip() or name in (".", ".."):
        yield Finding(rule="SP201", path=("name",), message=f"'{name}' cannot be the name of a job")
    elif found := CONTROL.search(name):
        message = f"the name of a job cannot contain {found.group()!r}"
        yield Finding(rule="SP201", path=("name",), message=message)
    elif "/" in name:
        hint = f"for example {name.replace('/', '-')}"
        yield Finding(rule="SP201", path=("name",), message="the name of a job cannot contain '/'", help=hint)
    elif len(name) > MAX_NAME:
        message = f"the name has {len(name)} characters; at most {MAX_NAME} fit into a file name"
        yield Finding(rule="SP201", path=("name",), message=message)


def environment(draft: Draft) -> Iterator[Finding]:
    """SP202: names of environment variables, wherever the recipe sets some."""
    for pairs, path in _environments(draft):
        for name, _ in pairs:
            if not VARIABLE.fullmatch(name):
                yield Finding(
                    rule="SP202",
                    path=(*path, name),
                    on_key=True,
                    message=f"{name!r} is not a name for an environment variable",
                    help="letters, digits and _, not starting with a digit",
                )
    for index, name in enumerate(draft.env_from):
        if not VARIABLE.fullmatch(name):
            message = f"{name!r} is not a name for an environment variable"
            hint = "give the names of variables; their values are taken when the job is submitted"
            yield Finding(rule="SP202", path=("env_from", index), message=message, help=hint)


def setup_script(draft: Draft) -> Iterator[Finding]:
    """SP204: a file name below ``configs/``, nothing that leads out of it."""
    name = draft.setup_script
    if name is None:
        return
    if not name or "/" in name or name.startswith((".", "-")) or CONTROL.search(name):
        yield Finding(
            rule="SP204",
            path=("setup_script",),
            message=f"'{name}' is not the name of a script",
            help="give the name of a file below configs/, without folders",
        )


def _environments(draft: Draft) -> Iterator[tuple[Pairs, Path]]:
    if draft.environment:
        yield draft.environment, ("environment",)
    for role in draft.resources.roles if draft.resources else ():
        yield role.env, role.env_at
    if draft.frontend:
        yield draft.frontend.env, (*draft.frontend.at, "env")
    for part in (draft.engine, draft.frontend, draft.benchmark):
        if part is not None:
            yield from _plugin_environments(part.options, part.at)


def _plugin_environments(options: object, path: Path) -> Iterator[tuple[Pairs, Path]]:
    """Fields of a plugin's options that are environments by their name."""
    for name in ("env", "environment"):
        value = getattr(options, name, None)
        if isinstance(value, tuple):
            yield value, (*path, name)
