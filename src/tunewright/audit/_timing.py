"""How long answers take: latencies of single rows from several callers, intervals of quantiles, and a cold start."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._intervals import Interval

ORDER = "interval of a quantile by order statistics: David & Nagaraja 2003, Order Statistics, section 7.1"
Clock = Callable[[], float]
Row = Mapping[str, Any]

FIRST_ANSWER = """
import json, sys, time
import tunewright
tunewright.load(sys.argv[1]).predict([json.load(sys.stdin)])
cpu_s = time.process_time()
try:
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    peak_mb = int(peak.split()[1]) * 1024 / 1e6
except OSError:
    import resource
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(json.dumps({"cpu_s": cpu_s, "peak_mb": peak_mb}))
"""
"""What a fresh process does; the peak is that of the process alone (VmHWM on Linux, ru_maxrss on macOS)."""


def latencies(
    ask: Callable[[Row], Any],
    rows: Sequence[Row],
    *,
    callers: int,
    requests: int,
    seconds: float,
    clock: Clock = time.perf_counter,
) -> NDArray[np.float64]:
    """Seconds of each request, one row each, from so many callers at once; fewer requests if the seconds are over.

    Raises
    ------
    Exception
        What a request raised, after all callers have ended.
    """
    numbers, until = count(), clock() + seconds

    def call(_: int) -> list[float]:
        own: list[float] = []
        while (at := next(numbers)) < requests and (at < callers or clock() < until):
            begun = clock()
            ask(rows[at % len(rows)])
            own.append(clock() - begun)
        return own

    with ThreadPoolExecutor(callers) as pool:
        return np.array([one for own in pool.map(call, range(callers)) for one in own], np.float64)


def quantile(values: NDArray[np.float64], q: float) -> float:
    """The smallest value that at least a share q of them do not exceed.

    >>> quantile(np.arange(1.0, 101.0), 0.99)
    99.0
    """
    return float(np.sort(values)[max(0, math.ceil(q * len(values) - 1e-9) - 1)])


def quantile_interval(values: NDArray[np.float64], q: float) -> Interval | None:
    """95 % interval of a quantile, between two of the values; None where there are too few of them for it.

    The number of values below the quantile is binomial (n, q): the interval goes from the l-th to the u-th value, where
    fewer than l lie below it in at most 2.5 %, and u or more in at most 2.5 %.

    >>> quantile_interval(np.arange(1.0, 101.0), 0.5)
    (40.0, 61.0)
    """
    n, ranked = len(values), np.sort(values)
    x = np.arange(n + 1)
    logs = np.array([math.lgamma(n + 1) - math.lgamma(at + 1) - math.lgamma(n - at + 1) for at in x.tolist()])
    below = np.cumsum(np.exp(logs + x * math.log(q) + (n - x) * math.log(1 - q)))  # P(count ≤ x)
    low = int(np.searchsorted(below, 0.025, side="right"))  # the largest l with P(count < l) ≤ 2.5 %
    high = int(np.searchsorted(below, 0.975)) + 1  # the smallest u with P(count ≥ u) ≤ 2.5 %
    return (float(ranked[low - 1]), float(ranked[high - 1])) if low >= 1 and high <= n else None


@dataclass(frozen=True)
class Start:
    """What a fresh process cost until its first answer, in all."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def cold_start(folder: Path | str, row: Row, *, seconds: float = 120.0) -> Start:
    """Load a bundle in a fresh process and let it answer one row.

    Raises
    ------
    RuntimeError
        The process failed, or took longer than the seconds.
    """
    command = [sys.executable, "-c", FIRST_ANSWER, str(folder)]
    begun = time.perf_counter()
    try:
        done = subprocess.run(command, input=json.dumps(dict(row)), capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"a fresh process gave no answer in {seconds:g} s") from None
    wall_s = time.perf_counter() - begun
    if done.returncode:
        raise RuntimeError(f"a fresh process ended with exit code {done.returncode}")
    return Start(wall_s, **json.loads(done.stdout.splitlines()[-1]))
