"""How much memory this process holds, and the most that it held while something was done."""

from __future__ import annotations

import os
import resource
import sys
import threading
from types import TracebackType

PERIOD_SECONDS = 0.05
STATM = "/proc/self/statm"


def peak_rss_bytes() -> int:
    """Largest resident set of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def rss_bytes() -> int:
    """Resident set of this process now; where the system does not tell it, the largest so far."""
    try:
        with open(STATM, "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return peak_rss_bytes()


class PeakMemory:
    """The largest resident set of the process while the block runs, in ``bytes`` afterwards.

    The system's own peak never falls: after a step that took much it tells nothing of those that follow. So a thread
    looks 20 times a second (some microseconds each). What lies between two looks is missed, unless it is the largest
    of the process so far, which the system tells exactly.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._ended = threading.Event()

    def __enter__(self) -> PeakMemory:
        self._before = peak_rss_bytes()
        self.bytes = rss_bytes()
        self._thread = threading.Thread(target=self._look, name="peak-memory", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        after = peak_rss_bytes()
        self.bytes = max(self.bytes, rss_bytes(), after if after > self._before else 0)

    def _look(self) -> None:
        while not self._ended.wait(PERIOD_SECONDS):
            self.bytes = max(self.bytes, rss_bytes())
