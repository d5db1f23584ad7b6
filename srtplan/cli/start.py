"""Entry point of the ``srtplan`` process: settings that apply before anything is imported.

By default the cyclic garbage collector runs after every few hundred allocations. A compiler makes hundreds of thousands
of objects that all live until it exits. Running the collector less often saves a tenth of a check and half of a large
plan. The final collection at exit is skipped, too.
"""

from __future__ import annotations

import gc

COLLECT_AFTER = 1_000_000
"""Allocations between two runs of the collector."""


def main() -> None:
    """Run the command line."""
    gc.set_threshold(COLLECT_AFTER)
    from srtplan.cli.main import main as run  # noqa: PLC0415 -- imports allocate a third of the objects

    try:
        run()
    finally:
        gc.freeze()
