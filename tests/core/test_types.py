"""Ragged arrays and windows against what plain lists say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tunewright.core.types import Exhibit, Finding, Ragged, Windows

Pieces = list[list[int]]
PIECES = st.lists(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=8), max_size=10)


@st.composite
def pieces_and_index(draw: st.DrawFn) -> tuple[Pieces, list[int]]:
    pieces = draw(PIECES.filter(bool))
    return pieces, draw(st.lists(st.integers(0, len(pieces) - 1), max_size=15))


@given(PIECES)
def test_pieces_come_back_as_they_went_in(pieces: Pieces) -> None:
    ragged = Ragged.of(pieces)
    assert len(ragged) == len(pieces)
    assert [piece.tolist() for piece in ragged] == pieces
    assert [ragged[at].tolist() for at in range(len(pieces))] == pieces
    assert ragged.lengths.tolist() == [len(piece) for piece in pieces]


@given(pieces_and_index())
def test_take_gives_the_pieces_at_the_index(drawn: tuple[Pieces, list[int]]) -> None:
    pieces, index = drawn
    taken = Ragged.of(pieces).take(np.array(index, np.int64))
    assert [piece.tolist() for piece in taken] == [pieces[at] for at in index]


@given(pieces_and_index(), st.integers(-5, 5))
def test_padded_is_the_pieces_and_the_fill(drawn: tuple[Pieces, list[int]], fill: int) -> None:
    pieces, index = drawn
    values, mask = Ragged.of(pieces).padded(np.array(index, np.int64), fill)
    width = max((len(pieces[at]) for at in index), default=0)
    assert values.shape == mask.shape == (len(index), width)
    for row, at in enumerate(index):
        assert values[row, mask[row]].tolist() == pieces[at]
        assert mask[row].tolist() == [step < len(pieces[at]) for step in range(width)]
        assert (values[row, ~mask[row]] == fill).all()


def test_pieces_of_vectors_keep_their_width_and_dtype() -> None:
    pieces = [np.arange(6, dtype=np.float32).reshape(3, 2), np.zeros((0, 2), np.float32), np.ones((1, 2), np.float32)]
    ragged = Ragged.of(pieces, np.float32)
    values, mask = ragged.padded(np.array([2, 0]), -1.0)
    assert values.dtype == np.float32
    assert values.tolist() == [[[1, 1], [-1, -1], [-1, -1]], [[0, 1], [2, 3], [4, 5]]]
    assert mask.tolist() == [[True, False, False], [True, True, True]]
    assert ragged.take(np.array([0])).values.tolist() == pieces[0].tolist()


@given(hnp.arrays(np.int64, st.integers(1, 30), elements=st.integers(1, 500)), st.data())
def test_the_shares_of_a_row_sum_to_one_and_go_by_cost(cost: Any, data: st.DataObject) -> None:
    owner = np.cumsum([0, *data.draw(st.lists(st.integers(0, 1), min_size=len(cost) - 1, max_size=len(cost) - 1))])
    rows = int(owner[-1]) + 1
    share = Windows(rows, owner, cost, {}).share()
    assert np.allclose(np.bincount(owner, weights=share, minlength=rows), 1)
    for row in range(rows):
        mine = owner == row
        assert share[mine] == pytest.approx(cost[mine] / cost[mine].sum())


def test_a_window_that_costs_nothing_still_has_a_share() -> None:
    windows = Windows(2, np.array([0, 1]), np.array([0, 3]), {})
    assert windows.share().tolist() == [1.0, 1.0]
    assert len(windows) == 2


def test_a_finding_is_recorded_without_its_exhibits() -> None:
    shown = Exhibit("t", "table", ("a",), ((1,),), private=True)
    record = Finding("accuracy", "accuracy", 0.5, n=4, exhibits=(shown,)).record()
    assert record["metric"] == "accuracy"
    assert record["n"] == 4
    assert "exhibits" not in record
