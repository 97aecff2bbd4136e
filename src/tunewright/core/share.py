"""A share of a run's time, for one of several things that it does in turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tunewright.core.run import Run


@contextmanager
def within(run: Run, seconds: float) -> Iterator[None]:
    """Inside, the run has so many seconds left, or those that it has, if these are fewer."""
    whole = run.seconds
    run.seconds = min(whole, run.elapsed + seconds)
    try:
        yield
    finally:
        run.seconds = whole
