"""``docs/reference/recipe.md`` matches the classes of the sections."""

from __future__ import annotations

import os
from pathlib import Path

import attrs
import reference

from srtplan.config.layouts import v1_sections, v2_sections
from srtplan.ir.recipe import Ports

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "recipe.md"


def test_the_page_is_up_to_date() -> None:
    """The page matches the classes; ``SRTPLAN_GOLDEN=rewrite`` writes it."""
    if os.environ.get("SRTPLAN_GOLDEN") == "rewrite":
        PAGE.write_text(reference.render())
    assert PAGE.read_text() == reference.render()


def test_every_section_is_on_the_page() -> None:
    """The page has every class of both layouts."""
    listed = {kind for _, kind in (*reference.V1, *reference.V2)} | {
        v1_sections.Document,
        v2_sections.Document2,
    }
    classes = {
        c
        for module in (v1_sections, v2_sections)
        for c in vars(module).values()
        if isinstance(c, type) and attrs.has(c) and c.__module__ == module.__name__
    }
    assert classes - listed == {v1_sections.FrontendCommon}


def test_every_port_is_described() -> None:
    """Every port has a description on the page."""
    assert set(reference.PORTS) == set(attrs.fields_dict(Ports))


def test_every_field_of_a_section_is_described() -> None:
    """Every field of a section has a description."""
    for name, kind in (*reference.V1, *reference.V2):
        for field in attrs.fields(kind):
            assert field.metadata.get("doc"), f"{name}.{field.name}"
