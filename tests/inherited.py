"""Reset signals that the parent of the tests ignores: ``pytest &`` in a script ignores INT and QUIT, ``nohup`` ignores HUP.

All child processes inherit an ignored signal, and bash cannot trap it. A job that a test sends QUIT would never end.
"""

from __future__ import annotations

import signal
from types import FrameType

OWN = {signal.SIGPIPE, signal.SIGXFSZ}
"""Signals that Python itself ignores; subprocess restores them."""


def restore_ignored_signals() -> None:
    """Restore the default action of every ignored signal for programs that the tests start.

    exec resets a signal with a handler to its default. This process still ignores the signal: the handler does nothing.
    """
    for number in signal.valid_signals() - OWN:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, _ignore)


def _ignore(number: int, frame: FrameType | None) -> None:
    del number, frame
