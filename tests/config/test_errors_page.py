"""``docs/reference/errors.md`` has a section for every rule id, and every rule has a golden case."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
RULE = re.compile(r"""["'](SP\d{3})["']""")
PAGE = (ROOT / "docs" / "reference" / "errors.md").read_text()
SECTIONS = {
    m[1]: m[2] for m in re.finditer(r"^### (SP\d{3})\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
}
WITHOUT_CASE = {
    "SP101": "files that cannot be read: test_parse",
    "SP116": "plugins of other distributions: tests/test_external_plugin",
    "SP120": "--set: test_settings",
    "SP301": "a named profile that is missing: test_profile",
    "SP306": "a profile of another user: test_trust",
    "SP604": "plugins of other distributions: tests/test_external_plugin",
    "SP419": "--port-offset: tests/failures/test_options",
}


def rules(folder: str) -> set[str]:
    """Return the rule ids in the source below a folder."""
    return {r for p in (ROOT / folder).rglob("*.py") for r in RULE.findall(p.read_text())}


def test_every_rule_has_a_section() -> None:
    """Every id in the code has a section in docs/reference/errors.md."""
    assert rules("srtplan") - set(SECTIONS) == set()


def test_every_section_has_a_rule() -> None:
    """The page has no section of a removed rule."""
    assert set(SECTIONS) - rules("srtplan") == set()


def test_sections_say_what_why_and_how() -> None:
    """Each section starts with a bold sentence and has a reason and a fix."""
    for rule, text in SECTIONS.items():
        assert text.lstrip().startswith("**"), rule
        assert "*Why:*" in text, rule
        assert "*Fix:*" in text, rule


def test_sections_are_sorted() -> None:
    """The ids are unique and sorted."""
    found = re.findall(r"^### (SP\d{3})$", PAGE, re.MULTILINE)
    assert found == sorted(set(found))


def test_every_rule_has_a_golden_case() -> None:
    """Every rule has a case in ``golden/errors``, except for those that no file can show."""
    shown = {
        r
        for p in (ROOT / "golden" / "errors").glob("*.yaml")
        for r in re.findall(r"# (?:file )?(SP\d{3}):", p.read_text())
    }
    assert rules("srtplan") - shown == set(WITHOUT_CASE)
