"""Place labels next to the points of a chart: never on another label or a point, on a line only if no other side is free.

In: labels, the most important first. A label that does not fit is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import frozen
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox
from numpy import asarray

from srtplan.results.draw.style import ignore_missing_glyphs

FONT = FontProperties(size=8)
POINT = 4.0
"""Half the size of a marker. All lengths are in points of 1/72 inch."""
GAP = 1.5
MARGIN = 1.0
"""Free space around a label."""
Side = tuple[int, int]
SIDES = ((1, 1), (1, 0), (0, 1), (-1, 1), (1, -1), (-1, 0), (0, -1), (-1, -1))
"""Sides of a point on which a label can be placed, the best first."""


@frozen
class Label:
    """A text for a point, in data coordinates."""

    text: str
    at: tuple[float, float]
    colour: str


def place_labels(axes: Axes, labels: Sequence[Label]) -> None:
    """Draw as many labels as fit. Call it last: everything else must be drawn and have its final position."""
    figure = axes.figure
    assert isinstance(figure, Figure)  # noqa: S101 -- not a subfigure
    with ignore_missing_glyphs():
        figure.draw_without_rendering()
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    pixel = figure.dpi / 72
    lines = [line for line in axes.get_lines() if line.get_marker() != "None"]
    paths = [axes.transData.transform_path(line.get_path()) for line in lines]
    taken = [_box_around(x, y, POINT * pixel) for path in paths for x, y in asarray(path.vertices)]
    whole = axes.get_window_extent()
    for label in labels:
        width, height, _ = renderer.get_text_width_height_descent(label.text, FONT, ismath=False)
        x, y = axes.transData.transform(label.at)
        boxes = [(side, _box_beside((x, y), side, (width, height), pixel)) for side in SIDES]
        free = [(s, b) for s, b in boxes if _is_inside(b, whole) and not any(b.overlaps(t) for t in taken)]
        if free:
            side, box = next(_crossed_by_no_line(free, paths), free[0])
            taken.append(box)
            _draw_label(axes, label, side)


def _box_around(x: float, y: float, half: float) -> Bbox:
    return Bbox.from_extents(x - half, y - half, x + half, y + half)


def _box_beside(at: tuple[float, float], side: Side, size: tuple[float, float], pixel: float) -> Bbox:
    """The box of a text on one side of a point, with its margin."""
    left, low = (
        a + s * (POINT + GAP) * pixel + (s - 1) / 2 * of for a, s, of in zip(at, side, size, strict=True)
    )
    edge = MARGIN * pixel
    return Bbox.from_extents(left - edge, low - edge, left + size[0] + edge, low + size[1] + edge)


def _is_inside(box: Bbox, whole: Bbox) -> bool:
    return bool(whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0 and box.y1 <= whole.y1)


def _crossed_by_no_line(
    places: Sequence[tuple[Side, Bbox]], paths: Sequence[Path]
) -> Iterator[tuple[Side, Bbox]]:
    """The places that no line crosses."""
    return ((s, b) for s, b in places if not any(p.intersects_bbox(b, filled=False) for p in paths))


def _draw_label(axes: Axes, label: Label, side: Side) -> None:
    text = axes.annotate(
        label.text,
        label.at,
        xytext=(side[0] * (POINT + GAP), side[1] * (POINT + GAP)),
        textcoords="offset points",
        ha=("right", "center", "left")[side[0] + 1],
        va=("top", "center", "bottom")[side[1] + 1],
        fontproperties=FONT,
        color=label.colour,
        zorder=4,
        path_effects=[withStroke(linewidth=2, foreground="white")],
    )
    text.set_in_layout(False)  # it lies within the axes and must not move them
