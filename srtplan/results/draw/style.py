"""Style shared by all pictures: colours, fonts, the legend below a figure, and the export to PNG or SVG.

In: a figure. Out: PNG or SVG, the same bytes for the same data. It needs no display and keeps no state.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from srtplan.results.table import one_line

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Seven colours that are distinct in every kind of colour vision (Okabe and Ito)."""
MARKERS = "osD^vPX"
GREY = "#777777"
STYLE: Any = {
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "text.parse_math": False,  # a name may contain a $
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "svg.hashsalt": "srtplan",
    "svg.fonttype": "path",
}
LEGEND_FONT = 9
LINE_INCHES = 0.205
CHARACTER_INCHES = 0.085
HANDLE_INCHES = 0.75
MAX_LABEL_LENGTH = 96
"""Maximum number of characters of a legend entry."""


def job_style(number: int) -> tuple[str, str]:
    """Colour and marker of the n-th job."""
    return COLOURS[number % len(COLOURS)], MARKERS[(number + number // len(COLOURS)) % len(MARKERS)]


def drawable_text(text: str, longest: int = MAX_LABEL_LENGTH) -> str:
    """A name that can be drawn: one line of printable characters, shortened in the middle."""
    shown = one_line(text, longest)
    return f" {shown}" if shown.startswith("_") else shown  # matplotlib leaves such names out of a legend


def add_legend(figure: Figure, handles: Sequence[Artist], labels: Sequence[str]) -> None:
    """Add a legend below the axes. The figure grows by its height, so that the axes keep their size."""
    width, height = figure.get_size_inches()
    longest = max(map(len, labels), default=1)
    columns = min(len(labels) or 1, max(1, int(width / (HANDLE_INCHES + CHARACTER_INCHES * longest))))
    rows = -(-len(labels) // columns)
    figure.set_size_inches(width, height + LINE_INCHES * rows + 0.1)
    figure.legend(handles, labels, loc="outside lower left", ncols=columns, fontsize=LEGEND_FONT)


@contextlib.contextmanager
def ignore_missing_glyphs() -> Iterator[None]:
    """Suppress warnings about missing glyphs; matplotlib draws a box instead."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        yield


def image_bytes(figure: Figure, kind: str) -> bytes:
    """The figure as ``png`` or ``svg``."""
    out = io.BytesIO()
    with rc_context(STYLE), ignore_missing_glyphs():
        FigureCanvasAgg(figure)
        metadata = {"Date": None} if kind == "svg" else {"Software": "srtplan"}
        figure.savefig(out, format=kind, dpi=130, metadata=metadata)
    return out.getvalue()
