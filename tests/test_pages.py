"""Links of the pages lead to files and headings that exist, and pages for contributors name files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
NAMED = re.compile(r"`(?:python )?((?:srtplan|templates|tests|docs|bench|golden|examples)/[A-Za-z0-9_./-]+)`")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
PUNCTUATION = re.compile(r"[^\w\- ]")


def name(page: Path) -> str:
    """A page's path from the root, as the name of a test."""
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = HEADING.findall(FENCE.sub("", page.read_text()))
    return {PUNCTUATION.sub("", h.lower().replace("`", "")).replace(" ", "-") for h in headings}


def broken(page: Path) -> list[str]:
    """The relative links of a page that lead nowhere."""
    found = []
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if "://" in link:
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """A page that moves, or a heading that changes, takes the links to it along."""
    assert broken(page) == []


@pytest.mark.parametrize("page", [p for p in PAGES if (ROOT / "docs") in p.parents], ids=name)
def test_every_page_is_in_the_index(page: Path) -> None:
    """docs/README.md lists every page of the documentation."""
    index = ROOT / "docs" / "README.md"
    listed = {(index.parent / link.partition("#")[0]).resolve() for link in LINK.findall(index.read_text())}
    assert page == index or page in listed


@pytest.mark.parametrize(
    "page",
    [
        "CONTRIBUTING.md",
        "docs/explanation/architecture.md",
        "docs/explanation/design-decisions.md",
        "docs/reference/shell-style.md",
    ],
)
def test_files_named_in_a_page_exist(page: str) -> None:
    """If a module moves, the pages must be updated."""
    named = NAMED.findall((ROOT / page).read_text())
    assert named
    assert [path for path in named if not list(ROOT.glob(path))] == []


def test_the_readme_is_one_screen_and_links() -> None:
    """The page that a newcomer sees first stays short."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= 70


def test_the_walk_names_functions_of_its_files() -> None:
    """Each file between a recipe and its srun line still has the function or class that does the work."""
    text = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
    rows = re.findall(r"^\| `(srtplan/[\w/]+\.py)` \| `(\w+)`(?: and `(\w+)`)?", text, re.MULTILINE)
    assert len(rows) == len(set(rows)) == 8
    missing = [
        f"{path}: {named}"
        for path, *found in rows
        for named in filter(None, found)
        if not re.search(rf"^ *(?:def|class) {named}\b", (ROOT / path).read_text(), re.MULTILINE)
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_library_functions_that_a_page_names_exist(page: Path) -> None:
    """A function of the runtime library that is renamed takes its name in the pages with it."""
    library = "\n".join(p.read_text() for p in (ROOT / "templates" / "lib").glob("*.sh"))
    named = set(re.findall(r"`([a-z]+::[a-z]\w*)`", page.read_text())) - {"area::verb"}
    assert [function for function in sorted(named) if f"\n{function}() {{" not in library] == []
