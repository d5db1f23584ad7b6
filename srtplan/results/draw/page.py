"""One HTML page with everything: tables, pictures inside, no other file and no network.

In: summaries. Out: the text of the page. Without matplotlib it has the tables and says how to get the pictures.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from srtplan.results.draw.pictures import Picture
from srtplan.results.read.model import Summary
from srtplan.results.table import heading, notes, rows, scores


@frozen
class Job:
    """One job as the page shows it."""

    title: str
    served: str
    line: str
    state: str
    heads: list[str]
    cells: list[list[str]]
    bad: list[bool]
    scores: list[list[str]]
    notes: list[str]
    folder: str


def render(summaries: Sequence[Summary], pictures: Sequence[Picture] | None) -> str:
    """The page; pictures are SVG, None where there is nothing to draw them with."""
    environment = Environment(
        loader=PackageLoader("srtplan.results.draw", ""), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    shown = None if pictures is None else [_picture(p) for p in pictures]
    page = environment.get_template("page.html.j2")
    return page.render(jobs=[_job(s) for s in summaries], pictures=shown)


def _picture(picture: Picture) -> tuple[str, str, Markup]:
    return picture.title, picture.note, Markup(_inline(picture.content.decode()))  # noqa: S704 -- our own SVG


def _job(summary: Summary) -> Job:
    served, line = heading(summary)
    heads, cells = rows(summary)
    bad = [not r.is_ok for r in summary.records]
    return Job(
        summary.label,
        served.removeprefix(summary.label).strip(),
        line,
        summary.text("state"),
        heads,
        cells,
        bad,
        scores(summary),
        notes(summary),
        str(summary.run_dir),
    )


def _inline(svg: str) -> str:
    """The element alone, without the declaration that a file of its own needs."""
    return svg[svg.index("<svg") :]
