"""A row cut into pieces, and what it reads like without some of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.core.errors import TunewrightError
from tunewright.runtime.pieces import cut, segments

TEXT = {"text": "text"}
WRITTEN = st.text("ab cd.,'卡 \n😀", max_size=60).filter(str.strip)


def without(text: str, *left_out: str) -> str:
    one = cut(TEXT, [text], 32)
    kept = np.array([[piece.text not in left_out for piece in one.pieces]])
    return one.without(kept)[0][0]


@pytest.mark.parametrize(
    ("text", "left_out", "rest"),
    [
        ("my card was stolen", ["card"], "my was stolen"),
        ("my card was stolen", ["my", "stolen"], "card was"),
        ("hello, world", [","], "hello world"),
        ("card,lost", [","], "card lost"),
        ("我的卡。", ["的", "。"], "我卡"),
        ("  a\n\nb c ", ["b"], "  a\n\nc "),
        ("a", ["a"], ""),
    ],
)
def test_what_stood_apart_stays_apart(text: str, left_out: list[str], rest: str) -> None:
    assert without(text, *left_out) == rest


@given(WRITTEN, st.integers(1, 12))
def test_the_pieces_hold_the_whole_text(text: str, most: int) -> None:
    one = cut(TEXT, [text], most)
    assert 1 <= len(one.pieces) <= most
    assert all(piece.text == text[piece.start : piece.end] for piece in one.pieces)
    assert "".join(part for part, _ in segments(text, one.pieces)) == text
    assert "".join("".join(piece.text for piece in one.pieces).split()) == "".join(text.split())


@given(WRITTEN, st.data())
def test_nothing_is_left_but_what_is_kept(text: str, data: st.DataObject) -> None:
    one = cut(TEXT, [text], 64)
    kept = data.draw(st.lists(st.booleans(), min_size=len(one.pieces), max_size=len(one.pieces)))
    rest = one.without(np.array([[True] * len(kept), kept]))[0]
    assert rest[0] == text
    wanted = "".join(piece.text for piece, keep in zip(one.pieces, kept, strict=True) if keep)
    assert "".join(rest[1].split()) == "".join(wanted.split())


def test_neighbours_of_a_long_text_stand_together_evenly() -> None:
    text = " ".join(f"w{at}" for at in range(100))
    one = cut(TEXT, [text], 32)
    sizes = [len(piece.text.split()) for piece in one.pieces]
    assert (one.words, len(sizes), sum(sizes)) == (100, 25, 100)
    assert set(sizes) == {4}


def test_columns_keep_their_own_places() -> None:
    one = cut({"title": "text", "body": "text", "note": "text"}, ["lost card", "", None], 8)
    assert [(piece.column, piece.text) for piece in one.pieces] == [("title", "lost"), ("title", "card")]
    assert one.without(np.array([[False, True]])) == [["card"], [""], [""]]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "row 3: the text is empty: there is nothing to explain"),
        (None, "row 3: the text is empty"),
        (" \n\u3000", "row 3: the text holds white space only"),
        (7, "row 3: 7 is no text"),
        ("a \ud800", "row 3: the text holds half of a surrogate pair"),
    ],
)
def test_what_cannot_be_cut_is_named(value: object, problem: str) -> None:
    with pytest.raises(TunewrightError, match=problem):
        cut(TEXT, [value], 32, "row 3: ")


def test_what_is_no_text_has_no_words() -> None:
    with pytest.raises(TunewrightError, match="column 'series' is no text → only bundles that read texts"):
        cut({"series": "numbers"}, [[1, 2]], 32)


def test_too_few_pieces_for_the_columns() -> None:
    with pytest.raises(TunewrightError, match="1 pieces are too few for 2 columns"):
        cut({"a": "text", "b": "text"}, ["x", "y"], 1)
