"""The process ``srtplan``: what holds for it as a whole, before anything is imported.

The collector of cycles looks at every object that lives whenever some hundred were made. A compiler makes hundreds of
thousands that all live to its end: looking seldom saves a tenth of a check and half of a large plan. Nothing is looked at
again when the process ends.
"""

from __future__ import annotations

import gc

SELDOM = 1_000_000


def main() -> None:
    """Entry point."""
    gc.set_threshold(SELDOM)
    from srtplan.cli.main import main as run  # noqa: PLC0415 -- imports make a third of the objects

    try:
        run()
    finally:
        gc.freeze()
