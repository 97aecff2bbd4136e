"""Text: every token in one window, every window as the tokenizer itself would make it, every span at its characters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from tunewright.core.errors import TunewrightError
from tunewright.core.types import Ragged, Windows
from tunewright.modalities.text import Text

Build = Callable[[], Tokenizer]
ANY = st.text(max_size=60)
ASCII = st.text("abcdq :,.-the card", max_size=60)
PREFIXES = st.sampled_from(["", "query: ", "query:", "doc", "the  ", " query: ", "passage:\n", "  "])


def ids_of(windows: Windows) -> list[list[int]]:
    ids = windows.data["input_ids"]
    assert isinstance(ids, Ragged)
    return [piece.tolist() for piece in ids]


def content_of(text: Text, windows: Windows, row: int) -> list[int]:
    """Ids of a row's windows without what stands around each of them."""
    end = len(text.tail)
    mine = [ids for ids, owner in zip(ids_of(windows), windows.owner, strict=True) if owner == row]
    return [one for ids in mine for one in ids[len(text.head) : len(ids) - end]]


@given(texts=st.lists(ANY, max_size=5), prefix=PREFIXES, room=st.integers(1, 9))
def test_windows_hold_every_token_once(build: Build, texts: list[str], prefix: str, room: int) -> None:
    around = Text(build(), 512, prefix=prefix)
    text = Text(build(), len(around.head) + len(around.tail) + room, prefix=prefix)
    windows = text.windows([texts])
    assert windows.rows == len(texts)
    assert sorted(set(windows.owner.tolist())) == list(range(len(texts)))
    assert windows.owner.tolist() == sorted(windows.owner.tolist())
    assert windows.cost.tolist() == [len(ids) for ids in ids_of(windows)]
    for ids in ids_of(windows):
        assert len(ids) <= text.max_tokens
        assert tuple(ids[: len(text.head)]) == text.head
        assert tuple(ids[len(ids) - len(text.tail) :]) == text.tail
    for row, one in enumerate(texts):
        whole = text.tokenizer.encode(prefix + one, add_special_tokens=False).ids
        own = text.tokenizer.encode(prefix.rstrip(), add_special_tokens=False).ids
        expected = whole[len(own) :] if whole[: len(own)] == own else whole
        assert content_of(text, windows, row) == expected
    assert [len(content_of(text, windows, row)) for row in range(len(texts))] == [
        count - len(text.head) - len(text.tail) for count in text.count_tokens(texts)
    ]


@given(
    texts=st.lists(ASCII, min_size=1, max_size=4),
    prefix=st.sampled_from(["", "query: "]),
    least=st.integers(1, 12),
    where=st.lists(st.floats(0, 1, exclude_max=True), min_size=2, max_size=2),
)
def test_a_crop_is_one_part_of_a_long_text(
    build: Build, texts: list[str], prefix: str, least: int, where: list[float]
) -> None:
    text = Text(build(), 512, prefix=prefix)
    windows = text.windows([texts])
    index = np.arange(len(texts))[::-1]
    parts = text.crop(windows, index, least, np.tile(where, (len(index), 1)))
    assert parts.cost.tolist() == [len(ids) for ids in ids_of(parts)]
    for at, row in enumerate(index.tolist()):
        whole, part = content_of(text, windows, row), content_of(text, parts, at)
        ids = ids_of(parts)[at]
        assert (tuple(ids[: len(text.head)]), tuple(ids[len(ids) - len(text.tail) :])) == (text.head, text.tail)
        assert len(part) >= min(len(whole), max(least, len(whole) // 2))
        assert any(whole[start : start + len(part)] == part for start in range(len(whole) - len(part) + 1))
        if len(whole) <= least:
            assert part == whole


def test_crops_reach_from_end_to_end_and_may_be_whole(build: Build) -> None:
    text = Text(build(), 512)
    windows = text.windows([["card the " * 10]])
    whole, last = content_of(text, windows, 0), 1 - 1e-9
    index = np.zeros(1, np.int64)
    said = {
        where: content_of(text, text.crop(windows, index, 4, np.array([where])), 0) for where in [(0, 0), (0, last)]
    }
    half = len(whole) // 2
    assert said == {(0, 0): whole[:half], (0, last): whole[-half:]}
    assert content_of(text, text.crop(windows, index, 4, np.array([[last, last]])), 0) == whole


@given(one=ANY, prefix=st.sampled_from(["", "query: ", "passage:\n"]))
def test_a_short_text_is_what_the_tokenizer_makes_of_it(build: Build, one: str, prefix: str) -> None:
    text = Text(build(), 4096, prefix=prefix)
    (ids,) = ids_of(text.windows([[one]]))
    assert ids == build().encode(prefix + one).ids
    assert text.count_tokens([one]) == [len(ids)]


@given(one=ASCII, prefix=st.sampled_from(["", "query: ", "the  "]), room=st.integers(1, 6))
def test_spans_point_at_the_characters_of_the_row(build: Build, family: str, one: str, prefix: str, room: int) -> None:
    around = Text(build(), 512, prefix=prefix)
    text = Text(build(), len(around.head) + len(around.tail) + room, prefix=prefix)
    windows = text.windows([[one]])
    assert windows.spans is not None
    for ids, spans in zip(ids_of(windows), windows.spans, strict=True):
        assert spans.dtype == np.int32
        assert spans.shape == (len(ids), 2)
        assert not spans[: len(text.head)].any()
        assert not spans[len(ids) - len(text.tail) :].any()
        inner = slice(len(text.head), len(ids) - len(text.tail))
        for token, (start, end) in zip(ids[inner], spans[inner].tolist(), strict=True):
            shown = surface(family, text.tokenizer.id_to_token(token))
            assert shown in ("", one[start:end].strip().lower())  # a mark of a space alone points beside it
    covered = {at for start, end in windows.spans.values.tolist() for at in range(start, end)}
    assert covered >= {at for at, sign in enumerate(one) if sign.strip()}


def surface(family: str, token: str | None) -> str:
    """The characters behind a token of ASCII text, without spaces."""
    assert token is not None
    return token.removeprefix("##") if family == "wordpiece" else token.strip("▁Ġ")


@pytest.mark.parametrize("prefix", ["", "query: "])
def test_spans_count_characters_and_not_bytes(build: Build, prefix: str) -> None:
    one = "卡é 钱 the card"
    windows = Text(build(), 64, prefix=prefix).windows([[one]])
    assert windows.spans is not None
    assert windows.spans.values.max() == len(one)
    starts = [start for start, end in windows.spans.values.tolist() if "钱" in one[start:end]]
    assert starts
    assert set(starts) <= {2, 3}


@pytest.mark.parametrize("prefix", ["", "query: "])
def test_every_window_starts_with_the_prefix(build: Build, prefix: str) -> None:
    text = Text(build(), 16, prefix=prefix)
    windows = text.windows([["card " * 40, "the"]])
    assert len(windows) > 3
    start = tuple(build().encode(prefix.strip()).ids[: -len(text.tail)])
    assert text.head == start
    assert all(tuple(ids[: len(start)]) == start for ids in ids_of(windows))


def test_a_prefix_that_melts_into_the_first_word_loses_nothing(build: Build) -> None:
    one = "ument lost"
    windows = Text(build(), 64, prefix="doc").windows([[one]])
    assert windows.spans is not None
    covered = {at for start, end in windows.spans.values.tolist() for at in range(start, end)}
    assert covered >= {at for at, sign in enumerate(one) if sign != " "}
    assert max(covered) == len(one) - 1


def test_an_empty_text_has_one_window(build: Build) -> None:
    windows = Text(build(), 16).windows([["", "card", ""]])
    assert windows.owner.tolist() == [0, 1, 2]
    assert ids_of(windows)[0] == build().encode("").ids


def test_no_rows_have_no_windows(build: Build) -> None:
    windows = Text(build(), 16, prefix="query: ").windows([[]])
    assert (len(windows), windows.rows) == (0, 0)
    assert windows.spans is not None
    assert len(windows.spans) == 0


def test_a_text_without_any_token_of_a_tokenizer_without_specials() -> None:
    text = Text(Tokenizer(models.WordLevel({"[UNK]": 0, "card": 1}, unk_token="[UNK]")), 4)
    assert text.head == text.tail == ()
    windows = text.windows([["", "card"]])
    assert windows.cost.tolist() == [0, 1]
    assert windows.share().tolist() == [1, 1]
    batch = text.batch(windows, np.array([0]))
    assert batch["input_ids"].shape == (1, 0)


def test_several_columns_are_joined(build: Build) -> None:
    text = Text(build(), 64, separator=" - ", prefix="query: ")
    joined = text.windows([["the", None, "a"], ["card", "money", None]])
    assert ids_of(joined) == ids_of(text.windows([["the - card", " - money", "a - "]]))
    assert joined.rows == 3
    assert len(text.windows([[], []])) == 0


def test_a_nul_is_a_character_like_others(build: Build) -> None:
    text = Text(build(), 64)
    windows = text.windows([["the\x00card \x00", "\x00"]])
    assert windows.rows == 2
    assert windows.spans is not None
    assert windows.spans[0].max() <= len("the\x00card \x00")


LONE = "bad \ud800 half"


@pytest.mark.parametrize(
    ("columns", "problem", "remedy"),
    [
        ([["fine", LONE]], "row 1: the text holds half of a surrogate pair", "send valid Unicode"),
        ([["fine", "fine"], ["fine", LONE]], "row 1: the text holds half of a surrogate pair", "send valid Unicode"),
        ([["fine", "\udfff"]], "row 1: the text holds half of a surrogate pair", "send valid Unicode"),
        ([["fine", "fine", None]], "row 2: None is no text", "give a string"),
        ([[3, "fine"]], "row 0: 3 is no text", "give a string"),
        ([["fine", b"bytes"]], "row 1: b'bytes' is no text", "give a string"),
        ([[("two", "texts")]], "row 0: ('two', 'texts') is no text", "give a string"),
        ([["fine", "fine"], ["fine", 3.5]], "row 1: 3.5 is no text", "give a string"),
        ([["fine", float("nan")]], "row 1: nan is no text", "give a string"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "query: "])
def test_what_is_no_text_is_named_with_its_row(
    build: Build, columns: Sequence[Sequence[Any]], problem: str, remedy: str, prefix: str
) -> None:
    with pytest.raises(TunewrightError) as caught:
        Text(build(), 64, prefix=prefix).windows(columns)
    assert caught.value.problem == problem
    assert caught.value.remedy.startswith(remedy)


@pytest.mark.parametrize(("prefix", "least"), [("", 3), ("query: ", 5)])
def test_a_window_without_room_for_a_word_is_refused(prefix: str, least: int, tokenizers: dict[str, Build]) -> None:
    build = tokenizers["wordpiece"]
    assert Text(build(), least, prefix=prefix).max_tokens == least
    for max_tokens in (least - 1, 1, 0):
        with pytest.raises(TunewrightError, match=f"fit.max_tokens = {max_tokens} leaves no room for a word") as caught:
            Text(build(), max_tokens, prefix=prefix)
        assert "at least 16" in caught.value.remedy


def test_a_tokenizer_that_cuts_and_pads_is_stopped_from_it(build: Build) -> None:
    tokenizer = build()
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=9)
    text = Text(tokenizer, 64)
    (ids,) = ids_of(text.windows([["card " * 5]]))
    assert ids == build().encode("card " * 5).ids


def test_a_batch_is_padded_to_its_longest_window(build: Build) -> None:
    text = Text(build(), 64, pad_id=1)
    windows = text.windows([["the card lost", "", "card"]])
    batch = text.batch(windows, np.array([2, 0]))
    ids = ids_of(windows)
    assert set(batch) == set(text.axes)
    assert all(array.dtype == np.int64 for array in batch.values())
    assert batch["input_ids"].shape == (2, len(ids[0]))
    assert batch["input_ids"][0].tolist() == ids[2] + [1] * (len(ids[0]) - len(ids[2]))
    assert batch["attention_mask"].sum(1).tolist() == [len(ids[2]), len(ids[0])]


def test_a_saved_one_loads_to_the_same(build: Build, tmp_path: Path) -> None:
    text = Text(build(), 9, pad_id=1, prefix="query: ", separator=" / ")
    saved = text.save(tmp_path / "deep" / "text")
    again = Text.load(saved, tmp_path / "deep" / "text")
    columns: list[list[Any]] = [["the card 卡" * 5, ""], ["money", None]]
    assert ids_of(again.windows(columns)) == ids_of(text.windows(columns))
    assert again.save(tmp_path / "again") == saved
    assert (tmp_path / "again/tokenizer.json").read_bytes() == (tmp_path / "deep/text/tokenizer.json").read_bytes()
