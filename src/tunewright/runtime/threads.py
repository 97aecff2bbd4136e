"""How many threads this process may use: the processors it may run on, cut by the container's CPU quota."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def available(root: Path = CGROUP) -> int:
    """Threads that can run at once, at least 1.

    Reads the scheduler's affinity and, on Linux, the quota of cgroup v2 (``cpu.max``) or v1 (``cpu.cfs_quota_us``).
    """
    try:
        processors = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        processors = os.cpu_count() or 1
    quota = _quota(root)
    return max(1, min(processors, math.ceil(quota) if quota else processors))


def _quota(root: Path) -> float | None:
    try:
        limit, period = (root / "cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        pass
    try:
        limit_us = int((root / "cpu/cpu.cfs_quota_us").read_text())
        period_us = int((root / "cpu/cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return limit_us / period_us if limit_us > 0 else None
