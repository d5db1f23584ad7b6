"""Entry of the programs that only tests need: ``python3 -I -S -E start.py NAME STATE WORDS...``."""

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def main(argv: list[str]) -> int:
    """Run the stand-in that argv names and return its exit code."""
    sys.path[:0] = [str(TESTS.parent), str(TESTS)]
    loaded = __import__(f"stand_in_slurm.{argv[0]}", fromlist=["main"])
    code: int = loaded.main(argv[1], argv[2:])
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
