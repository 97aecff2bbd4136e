"""Pieces of a text: what stands together, and that nothing of a text is lost."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.modalities._pieces import pieces

ALPHABET = "aB é1.,'’-_\n\t\u3000卡が😀\u200d\ufe0f\u0301\U0001f1e9ßक्ष!"


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in pieces(text).tolist()]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", []),
        (" \n\u3000\t", []),
        ("my card  was\nstolen!", ["my", "card", "was", "stolen", "!"]),
        ("don't, l’été e-mail", ["don't", ",", "l’été", "e-mail"]),
        ("pay 1,000.50, now.", ["pay", "1,000.50", ",", "now", "."]),
        ("end.Next and/or", ["end", ".", "Next", "and", "/", "or"]),
        ("- 'quoted' -5", ["-", "'", "quoted", "'", "-", "5"]),
        ("我的iPhone丢了。", ["我", "的", "iPhone", "丢", "了", "。"]),
        ("ok 😡😡 ❤️\u200d🔥x", ["ok", "😡😡", "❤️\u200d🔥", "x"]),
        ("e\u0301te\u0301 क्\u200dष", ["e\u0301te\u0301", "क्\u200dष"]),
        ("か\u3099た", ["か\u3099", "た"]),
    ],
)
def test_words_signs_and_single_characters(text: str, wanted: list[str]) -> None:
    assert cut(text) == wanted


@given(st.one_of(st.text(), st.text(ALPHABET)))
def test_every_character_that_is_no_space_stands_in_exactly_one_piece(text: str) -> None:
    found = pieces(text).tolist()
    assert all(start < end for start, end in found)
    assert all(one[1] <= other[0] for one, other in pairwise(found))
    covered = {at for start, end in found for at in range(start, end)}
    assert covered == {at for at, character in enumerate(text) if not (character.isspace() or character == "\0")}


def test_half_of_a_pair_is_no_text() -> None:
    with pytest.raises(UnicodeEncodeError):
        pieces("a \ud800")
