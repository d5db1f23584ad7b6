"""A self-contained HTML page with tables and embedded pictures.

In: summaries. Out: the text of the page. Without matplotlib, the page has tables and a hint how to install it.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from srtplan.results.draw.pictures import Picture
from srtplan.results.read.fallback_summary import measures_nothing
from srtplan.results.read.model import Summary
from srtplan.results.table import heading, notes, rows, scores


@frozen
class Job:
    """The texts of one job on the page."""

    title: str
    served: str
    line: str
    state: str
    badge: str
    heads: list[str]
    cells: list[list[str]]
    bad: list[bool]
    scores: list[list[str]]
    notes: list[str]
    folder: str


def render(summaries: Sequence[Summary], pictures: Sequence[Picture] | None) -> str:
    """The page as HTML. ``pictures`` are SVG; None if matplotlib is missing."""
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
    state = "unmeasured" if measures_nothing(summary) else summary.text("state")
    return Job(
        summary.label,
        served.removeprefix(summary.label).strip(),
        line,
        state,
        {"unmeasured": "no benchmark", "none": "no results"}.get(state, state),
        heads,
        cells,
        bad,
        scores(summary),
        notes(summary),
        str(summary.run_dir),
    )


def _inline(svg: str) -> str:
    """The ``<svg>`` element without the XML declaration of a file."""
    return svg[svg.index("<svg") :]
