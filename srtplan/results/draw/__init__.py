"""Draw results. In: summaries and timelines. Out: PNG and SVG charts, and one HTML page."""
