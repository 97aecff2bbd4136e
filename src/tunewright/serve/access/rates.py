"""Rates: a bucket of tokens for each caller, in a table that does not grow."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

BURST_SECONDS = 2.0
"""What a caller who was silent may ask at once: so many seconds' worth."""
CALLERS = 10_000
"""Callers that are remembered; some 400 bytes each."""


@dataclass
class Bucket:
    """Tokens that come back at a rate up to a full bucket. It may be in debt: a large request empties it below zero.

    rate : tokens a second
    tokens : now, or rather at ``at``, seconds of a clock that never goes back
    """

    rate: float
    tokens: float
    at: float

    @property
    def size(self) -> float:
        return max(self.rate * BURST_SECONDS, 1.0)

    def wait(self, amount: float, now: float) -> float:
        """Seconds until so many can be taken; 0 = they are taken now.

        What is more than a full bucket is given to a full one, and the debt is waited off afterwards.
        """
        # A clock that goes back gives no tokens, and one that leaps ahead no more than a full bucket.
        self.tokens = min(self.size, self.tokens + max(0.0, now - self.at) * self.rate)
        self.at = now
        needed = min(amount, self.size)
        if self.tokens >= needed:
            self.tokens -= amount
            return 0.0
        return (needed - self.tokens) / self.rate


class Rates:
    """What each caller may ask in a second. Safe to call from several threads.

    Parameters
    ----------
    per_second : tokens of each caller; 0 = no limit
    callers : how many are remembered; beyond that the one that was silent for longest is forgotten, whose bucket is
        the fullest
    """

    def __init__(self, per_second: float, callers: int = CALLERS, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._most = callers
        self._clock = clock
        self._buckets: OrderedDict[Hashable, Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._buckets)

    def wait(self, caller: Hashable, amount: float = 1.0) -> int:
        """Whole seconds until the caller may ask for so much; 0 = it may, and it is taken."""
        if not self._per_second or not amount:
            return 0
        with self._lock:
            now = self._clock()
            bucket = self._buckets.get(caller)
            if bucket is None:
                bucket = self._buckets[caller] = Bucket(self._per_second, 0.0, now)
                bucket.tokens = bucket.size
            self._buckets.move_to_end(caller)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
            return math.ceil(bucket.wait(amount, now))
