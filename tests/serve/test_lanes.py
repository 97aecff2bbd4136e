"""Lanes: whose rows have their turn, and what waits."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from tunewright.serve.lanes import FIRST_GUESS, ROW_COST, Job, Lanes, size

Make = Callable[..., Job]


@pytest.fixture
def job(bayes: ModuleType) -> Make:
    predictor = bayes.topics()

    def make(*rows: str, ticket: object = None, of: Any = None) -> Job:
        return Job(of or predictor, rows, ticket=ticket or object())

    return make


def turn(lanes: Lanes, budget: float, wait: float = 0.0, now: float = 0.0) -> list[tuple[int, int]]:
    found = lanes.take(now, budget, wait)
    assert isinstance(found, tuple)
    return [(piece.first, piece.last) for piece in found[1]]


def test_a_long_request_holds_up_no_short_one(job: Make) -> None:
    lanes = Lanes()
    for rows in (["x"] * 1000, ["y"], ["z", "z"]):
        lanes.add(job(*rows), 0.0)
    price = ROW_COST + FIRST_GUESS
    assert turn(lanes, 6 * price) == [(0, 3), (0, 1), (0, 2)]
    assert lanes.rows == 997
    assert turn(lanes, 5 * price) == [(3, 8)]


def test_a_turn_takes_at_least_one_row(job: Make) -> None:
    lanes = Lanes()
    lanes.add(job("x" * 100_000, "y"), 0.0)
    assert turn(lanes, 1.0) == [(0, 1)]
    assert (lanes.rows, lanes.characters) == (1, 1)
    assert turn(lanes, 1.0) == [(1, 2)]
    assert lanes.take(0.0, 1.0, 0.0) is None


def test_bundles_of_their_own_have_their_turns_one_after_the_other(job: Make, bayes: ModuleType) -> None:
    lanes, (one, other) = Lanes(), (bayes.topics("one"), bayes.topics("two"))
    for of in (one, other, one):
        lanes.add(job("a", "b", of=of), 0.0)
    order = []
    while isinstance(found := lanes.take(0.0, 1.0, 0.0), tuple):
        order.append(found[1][0].job.predictor.manifest.name)
    assert order == ["one", "two", "one", "two", "one", "one"]


def test_who_leaves_takes_its_rows_along(job: Make) -> None:
    lanes, gone = Lanes(), job("a", "b", "c")
    lanes.add(gone, 0.0)
    lanes.add(job("d"), 0.0)
    assert turn(lanes, 1.0) == [(0, 1)]
    lanes.remove(gone)
    lanes.remove(gone)
    assert (lanes.rows, lanes.characters) == (1, 1)
    assert turn(lanes, 100.0) == [(0, 1)]
    assert (lanes.rows, lanes.characters) == (0, 0)


def test_it_waits_for_more_only_where_several_shared_the_last_turn(job: Make) -> None:
    lanes = Lanes()
    lanes.add(job("a"), 0.0)
    assert turn(lanes, 100.0, wait=0.002) == [(0, 1)]  # idle: at once
    lanes.add(job("b"), 1.0)
    lanes.add(job("c"), 1.0)
    assert turn(lanes, 100.0, wait=0.002, now=1.0) == [(0, 1), (0, 1)]
    lanes.add(job("d"), 2.0)
    assert lanes.take(2.0, 100.0, 0.002) == pytest.approx(0.002)
    assert lanes.take(2.0005, 100.0, 0.002) == pytest.approx(0.0015)
    lanes.add(job("e" * 1000), 2.001)
    assert turn(lanes, 100.0, wait=0.002, now=2.001) == [(0, 1), (0, 1)]  # enough for a turn


def test_the_price_of_a_character_is_learnt(job: Make) -> None:
    lanes = Lanes()
    for _ in range(60):
        lanes.add(job("退款" * 10), 0.0)
        found = lanes.take(0.0, 100.0, 0.0)
        assert isinstance(found, tuple)
        found[0].learn(found[1], 22)
    assert found[0].per_character == pytest.approx(1.0, abs=0.01)


def test_the_size_of_a_row() -> None:
    assert [size(row) for row in ("abc", "", {"a": "xy", "b": "z"}, [1, 2])] == [3, 0, 3, 6]
