"""Limits that make no sense are refused when they are made."""

from __future__ import annotations

import pytest

from tunewright.core.errors import TunewrightError
from tunewright.serve.limits import Limits


def test_the_defaults_are_those_of_the_documentation() -> None:
    limits = Limits()
    assert (limits.body_bytes, limits.batch_rows, limits.text_characters, limits.timeout_seconds) == (
        2**23,
        1024,
        100_000,
        30,
    )


@pytest.mark.parametrize(
    "name", ["body_bytes", "batch_rows", "text_characters", "timeout_seconds", "threads", "batch_cost", "waiting_rows"]
)
def test_a_limit_of_zero_is_refused(name: str) -> None:
    with pytest.raises(TunewrightError, match=f"the limit {name} = 0 is too small"):
        Limits(**{name: 0})


def test_some_may_be_zero_or_a_fraction() -> None:
    limits = Limits(waiting_requests=0, drain_seconds=0, batch_wait_ms=0, timeout_seconds=0.5)
    assert limits.timeout_seconds == 0.5
