"""Rates: what a caller may ask for in a second, whatever the clock does, in a table that does not grow."""

from __future__ import annotations

import tracemalloc

import pytest

from tunewright.serve.access.rates import Rates


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_burst_then_the_rate(clock: Clock) -> None:
    rates = Rates(5, clock=clock)
    assert [rates.wait("a") for _ in range(10)] == [0] * 10  # two seconds' worth at once
    assert rates.wait("a") == 1
    clock.now += 1
    assert [rates.wait("a") for _ in range(6)] == [0] * 5 + [1]
    assert rates.wait("b") == 0  # another caller has a bucket of its own


def test_no_rate_is_no_limit_and_remembers_nobody(clock: Clock) -> None:
    rates = Rates(0, clock=clock)
    assert {rates.wait(caller, 1e9) for caller in range(100)} == {0}
    assert len(rates) == 0


def test_more_than_a_full_bucket_is_given_once_and_waited_off(clock: Clock) -> None:
    rates = Rates(100, clock=clock)
    assert rates.wait("a", 1000) == 0
    assert rates.wait("a", 1) == 9  # 801 tokens are missing
    clock.now += 8
    assert rates.wait("a", 1) == 1
    clock.now += 0.02
    assert rates.wait("a", 1) == 0


def test_the_wait_that_is_told_is_long_enough(clock: Clock) -> None:
    rates = Rates(0.5, clock=clock)
    assert rates.wait("a") == 0
    seconds = rates.wait("a")
    assert seconds == 2
    clock.now += seconds
    assert rates.wait("a") == 0


def test_a_refused_request_costs_nothing(clock: Clock) -> None:
    rates = Rates(1, clock=clock)
    assert [rates.wait("a") for _ in range(50)] == [0, 0] + [1] * 48
    clock.now += 1
    assert rates.wait("a") == 0


@pytest.mark.parametrize("leap", [-1e9, -1.0])
def test_a_clock_that_goes_back_gives_nothing_and_blocks_nobody(leap: float, clock: Clock) -> None:
    rates = Rates(1, clock=clock)
    assert [rates.wait("a") for _ in range(2)] == [0, 0]
    clock.now += leap
    assert rates.wait("a") == 1
    clock.now += 1  # it goes on from there
    assert rates.wait("a") == 0


def test_a_clock_that_leaps_ahead_gives_no_more_than_a_full_bucket(clock: Clock) -> None:
    rates = Rates(1, clock=clock)
    rates.wait("a")
    clock.now += 1e12
    assert [rates.wait("a") for _ in range(4)] == [0, 0, 1, 1]


def test_the_wall_clock_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: pytest.fail("the wall clock jumps"))
    assert Rates(1).wait("a") == 0


def test_the_table_of_callers_does_not_grow(clock: Clock) -> None:
    rates = Rates(1, callers=100, clock=clock)
    rates.wait("busy")
    rates.wait("busy")
    for stranger in range(10_000):
        rates.wait(f"stranger {stranger}")
        if stranger % 50 == 0:
            assert rates.wait("busy") == 1  # who asks all the time is not forgotten, and so not forgiven
    assert len(rates) == 100


def test_any_number_of_callers_fits_into_little_memory(clock: Clock) -> None:
    rates = Rates(1, callers=1000, clock=clock)
    for caller in range(2000):
        rates.wait(("address", str(caller)))
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for caller in range(2000, 30_000):
        rates.wait(("address", str(caller)))
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 600_000
