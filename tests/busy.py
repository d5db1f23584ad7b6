"""Time in tests, on machines that are busy.

``patient(10)`` is a deadline for something that happens sooner or later: only a failure waits that long. ``noise_s()`` is what the
machine has added to the seconds that are under test, by the number of processes that wanted to run meanwhile.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from pathlib import Path

from slurm_cluster.client import PATIENCE

PERIOD_S = 0.1
KEPT = 3000
"""Samples: five minutes."""
PER_SLOWNESS_S = 4.0
"""Seconds that are added where as many processes want to run as two machines of this size could run."""


def patient(seconds: float) -> float:
    """Return a deadline, in seconds, for what takes so long on an idle machine."""
    return PATIENCE * seconds


def noise_s(over: float = 20.0) -> float:
    """Return what the machine has added to bounds within the last ``over`` seconds; 0 if it was idle."""
    since = time.monotonic() - over
    found = [runnable for at, runnable in _SAMPLES if at >= since] or [0]
    slowness = sum(found) / len(found) / (os.cpu_count() or 1)
    return PER_SLOWNESS_S * max(0.0, slowness - 0.5)


def _sample() -> None:
    while True:
        running = Path("/proc/loadavg").read_text().split()[3].partition("/")[0]
        _SAMPLES.append((time.monotonic(), int(running) - 1))  # this thread is one
        time.sleep(PERIOD_S)


_SAMPLES: deque[tuple[float, int]] = deque(maxlen=KEPT)
threading.Thread(target=_sample, name="load", daemon=True).start()
