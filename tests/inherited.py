"""Signals that whoever started the tests ignores, as ``pytest &`` in a script ignores INT and QUIT and ``nohup`` ignores HUP.

An ignored signal stays ignored in every process below, and bash cannot trap it: a job that a test sends QUIT would never end.
"""

from __future__ import annotations

import signal
from types import FrameType

OWN = {signal.SIGPIPE, signal.SIGXFSZ}
"""Python itself ignores these, and subprocess restores them."""


def restore_ignored_signals() -> None:
    """Give programs that the tests start the default of every ignored signal.

    A signal with a handler has its default back after exec; this process still ignores it, since the handler does nothing.
    """
    for number in signal.valid_signals() - OWN:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, _ignore)


def _ignore(number: int, frame: FrameType | None) -> None:
    del number, frame
