"""Race conditions, made likely by many repetitions."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / "shell")]

from shell_lab import in_library  # noqa: E402 (found by the line above)

SCRIPT = """
SHUTDOWN=stop # signals are only counted
trap 'SIGNALS+=(USR1)' USR1
(while sleep 0.002; do kill -USR1 "$$" || exit; done) 2>/dev/null &
hammer="$!"
for ((n = 0; n < 150; n++)); do
  job::call 5 /dev/null bash -c "exit $((n % 7))"
  [[ "$?" == "$((n % 7))" ]] || printf 'call %d: code %d\\n' "${n}" "$?"
done
kill "${hammer}"
printf 'signals %d\\n' "$((${#SIGNALS[@]} > 500))"
"""


def test_no_exit_code_is_lost_to_a_signal() -> None:
    """A command that ends while signals arrive keeps its exit code, and the job does not hang."""
    done = in_library(SCRIPT)
    assert done.stdout.decode() == "signals 1\n", done.stderr.decode()
