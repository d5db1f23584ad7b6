"""Load the templates and the shell library; fill templates with quoted text only.

``{#`` begins a comment in Jinja2 but also occurs in bash's ``${#array[@]}``, so comments are ``<#`` and ``#>`` here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from srtplan.bundle.quote import Quoted


@cache
def folder() -> Path:
    """The directory of the templates: inside an installed package, or next to it in a checkout."""
    package = Path(__file__).parents[1]
    return next(
        p for p in (package / "templates", package.parent / "templates") if (p / "job.sh.j2").is_file()
    )


def library() -> Mapping[str, bytes]:
    """Files that are the same in every bundle, by their path in the bundle."""
    root = folder()
    files = [root / "stop", *(root / "lib").rglob("*")]
    return {str(f.relative_to(root)): f.read_bytes() for f in sorted(files) if f.is_file()}


def fill(template: str, **values: object) -> str:
    """Render a template; values are ``Quoted``, sequences of them, or booleans for ``if``."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(folder()),
        undefined=StrictUndefined,
        auto_reload=False,  # avoids a stat() of the template for every launcher
        autoescape=False,  # noqa: S701 -- the output is shell; finalize accepts only quoted words
        finalize=_finalize,
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _finalize(value: object) -> str:
    if not isinstance(value, Quoted):
        raise TypeError(f"a template can print only quoted text, not {type(value).__name__}: {value!r}")
    return value.text
