"""The templates and the library, as files of this package; Jinja2 that prints quoted text only.

``{#`` begins a comment in Jinja2 and stands in bash's ``${#array[@]}``: comments are ``<#`` and ``#>`` here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from srtplan.bundle.quote import Quoted


@cache
def folder() -> Path:
    """Where the templates are: in an installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    return next(
        p for p in (package / "templates", package.parent / "templates") if (p / "job.sh.j2").is_file()
    )


def library() -> Mapping[str, bytes]:
    """Files that every bundle holds unchanged, by their path in the bundle."""
    root = folder()
    files = [root / "stop", *(root / "lib").rglob("*")]
    return {str(f.relative_to(root)): f.read_bytes() for f in sorted(files) if f.is_file()}


def fill(template: str, **values: object) -> str:
    """A template with its values; they are ``Quoted``, sequences of them, or booleans for ``if``."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(folder()),
        undefined=StrictUndefined,
        auto_reload=False,  # else every launcher of a job asks the disk whether its template has changed
        autoescape=False,  # noqa: S701 -- the output is shell; finalize admits quoted words only
        finalize=_finalize,
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _finalize(value: object) -> str:
    if not isinstance(value, Quoted):
        raise TypeError(
            f"only quoted text may be printed by a template, not {type(value).__name__}: {value!r}"
        )
    return value.text
