"""Count the golden lines that an edit of one recipe field changes: ``python bench/golden_churn.py``.

It prints one row per edit and never fails. The target is a median of at most 4 lines (``tests/golden/test_churn.py``).
``--files`` lists the lines by file.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import churn  # noqa: E402 -- sys.path is set above
import goldens  # noqa: E402


def main() -> None:
    """Print one row per edit, fewest lines first, then the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", action="store_true", help="list the changed lines of every file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = {edit: churn.changed(edit, Path(folder) / str(i)) for i, edit in enumerate(churn.EDITS)}
    for edit, lines in sorted(found.items(), key=lambda item: sum(item[1].values())):
        print(f"{sum(lines.values()):5} lines, {len(lines):2} files  {edit}")
        if arguments.files:
            for path, count in lines.items():
                print(f"{count:9}  {path}")
    counts = {edit: sum(lines.values()) for edit, lines in found.items()}
    whole = [count for edit, count in counts.items() if edit.case in goldens.WHOLE]
    print(
        f"median of {len(counts)} edits: {statistics.median(counts.values())}, worst: {max(counts.values())}"
    )
    print(f"median of {len(whole)} edits of cases with a whole bundle: {statistics.median(whole)}")


if __name__ == "__main__":
    main()
