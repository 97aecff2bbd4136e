"""Memory: what the process holds now, and the most while a block ran, also after it held more before."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from tunewright.core import memory
from tunewright.core.memory import PeakMemory, peak_rss_bytes, rss_bytes

MB = 2**20


def hold(size_mb: int) -> None:
    """Touch so much memory for a moment, and give it back."""
    block = np.ones(size_mb * MB // 8)
    time.sleep(0.15)
    del block


def test_now_is_at_most_the_peak() -> None:
    assert 10 * MB < rss_bytes() <= peak_rss_bytes() + MB, "the system counts to some pages"


def test_each_block_has_a_peak_of_its_own() -> None:
    """The system's peak of a process never falls, so it could not tell the second block from the first."""
    with PeakMemory() as large:
        hold(160)
    with PeakMemory() as small:
        hold(20)
    before = rss_bytes()
    assert large.bytes >= before + 120 * MB
    assert before - 20 * MB < small.bytes < large.bytes - 80 * MB
    assert large.bytes <= peak_rss_bytes() + MB


def test_a_new_peak_of_the_process_is_known_however_short_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "PERIOD_SECONDS", 60.0)
    with PeakMemory() as found:
        block = np.ones((peak_rss_bytes() + 64 * MB) // 8)
        del block
    assert found.bytes == pytest.approx(peak_rss_bytes(), abs=MB)


def test_where_the_system_does_not_tell_the_peak_stands_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "STATM", "/nowhere/statm")
    assert rss_bytes() == pytest.approx(peak_rss_bytes(), abs=MB)


def test_no_thread_is_left_even_after_an_error() -> None:
    with pytest.raises(ValueError, match="broken"), PeakMemory() as found:
        raise ValueError("broken")
    assert found.bytes > 10 * MB
    assert not [one for one in threading.enumerate() if one.name == "peak-memory"]
